"""Exported models: they load without the suite and encode the same vectors; their cards say what is true of them."""

import json
import os
import re
from types import SimpleNamespace

import forked
import numpy as np
import pandas as pd
import pytest
import synthetic
from huggingface_hub import ModelCard

from lib.base import config
from lib.base import store as artifacts
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics
from lib.evidence import tables
from lib.interop import model_card
from lib.runs import cells
from lib.runs import plan as grid

PROMPTS = {"query": "W: ", "document": "he: "}
BATCHES = {"questions": 1, "pairs": 1, "languages": ["de"], "batch_size": 32, "processes": 1}
LOG, ENCODED = {"steps": [{"loss": 1.0}], "batches": BATCHES}, {"query": "Where?", "passage": "There."}
SCORES = pd.DataFrame({"monolingual mAP": [0.5]}, index=["a|b"])
TEXTS = ["Where is Athens?", "Wo liegt Athens", "QXZ", "light " * 60, "q3de", ""]  # of pieces in and out of the run
PLAIN = """
import sys
sys.modules["lib"] = None  # whoever imports it fails
import json, numpy as np
from sentence_transformers import SentenceTransformer
folders, texts = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for folder in folders:
    model = SentenceTransformer(folder, device="cpu")
    both = [model.encode_query(texts), model.encode_document(texts)]
    np.save(folder + ".npy", np.stack(both), allow_pickle=False)
"""


def transformer(folder) -> str:
    """A tiny BERT with prompts and a Unigram vocabulary, of which a run keeps only what it uses."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    synthetic.write_transformer("bert", folder / "plain")
    base = Transformer(str(folder / "plain"))
    modules = [base, Pooling(base.get_embedding_dimension(), pooling_mode="mean"), Normalize()]
    model = SentenceTransformer(modules=modules, prompts=PROMPTS, similarity_fn_name="cosine", device="cpu")
    model.save(str(folder / "bert"), create_model_card=False)
    return str(folder / "bert")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two finished trained cells, of word vectors and of a transformer, and their exported folders."""
    folder = tmp_path_factory.mktemp("cards")
    with synthetic.folders(folder):
        tiny, *own = synthetic.own_files(folder)
        more = ["steps=3", "batch_size=8", "warmup_steps=1", "strategies=[hybrid]", "learning_rate=0.01"]
        found = {}
        for name, encoder in (("static", tiny), ("bert", f"encoder={transformer(folder)}")):
            overrides = [encoder, *own, *more, "max_tokens=32"]
            run = config.load("smoke", overrides)
            (cell,) = grid.plan(run.config)
            cells.finish(run, cell)
            exported = model_card.export(run, cell, folder / "out")
            found[name] = SimpleNamespace(run=run, cell=cell, folder=exported, overrides=overrides)
        yield SimpleNamespace(folder=folder, **found)


def plainly(server: forked.Server, folder, code: str, *arguments: str) -> str:
    """Run code in a process of its own that cannot import the suite; returns what it says."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    (done,) = server.run(forked.job(["-c", code, *arguments], folder, environment | {"HF_HUB_OFFLINE": "1"}))
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# --- the model ---


def test_without_the_suite_it_encodes_the_vectors_of_the_stored_model(forking, made):
    both = [made.static, made.bert]
    folders = json.dumps([str(one.folder) for one in both])
    told = plainly(forking, made.folder, PLAIN, folders, json.dumps(TEXTS))
    assert not re.search("(?i)missing|newly initialized|unexpected", told)  # no weights are invented
    for one in both:
        stored = encoders.load(cells.model(one.run, one.cell), "cpu")
        found = np.load(f"{one.folder}.npy", allow_pickle=False)
        for vectors, kind in zip(found, ("query", "document"), strict=True):
            assert vectors.dtype == np.float32
            length = np.linalg.norm(vectors, axis=1, keepdims=True)  # 0 of a text without a known word
            unit = vectors / np.where(length, length, 1)  # as its similarity, the cosine, sees them
            np.testing.assert_allclose(unit, embedding.encode(stored, TEXTS, kind), atol=1e-6, rtol=0)
    queries, passages = np.load(f"{made.bert.folder}.npy", allow_pickle=False)
    assert np.abs(queries - passages).max() > 1e-3  # the prompts are put before


def test_the_vocabulary_is_whole_and_the_weights_are_the_trained_ones(made):
    before = encoders.load(made.folder / "bert", "cpu")
    after = encoders.load(made.bert.folder, "cpu")
    assert len(after.tokenizer) == len(before.tokenizer)
    for text in TEXTS:
        assert after.tokenizer(text)["input_ids"] == before.tokenizer(text)["input_ids"]
    assert after.prompts == PROMPTS and after.max_seq_length == 32
    assert synthetic.fingerprint(after) != synthetic.fingerprint(before)
    assert np.abs(embedding.encode(after, TEXTS[:2], "query") - embedding.encode(before, TEXTS[:2], "query")).max() > 0


def test_exporting_leaves_the_store_as_it_is_and_can_be_repeated(made):
    for one in (made.static, made.bert):
        stored = cells.model(one.run, one.cell)
        before = {path.name: artifacts.file_digest(path) for path in sorted(one.folder.rglob("*")) if path.is_file()}
        assert model_card.export(one.run, one.cell, made.folder / "out") == one.folder
        assert {path.stat().st_mode & 0o777 for path in one.folder.rglob("*") if path.is_file()} == {0o644}
        after = {path.name: artifacts.file_digest(path) for path in sorted(one.folder.rglob("*")) if path.is_file()}
        assert after == before
        assert artifacts.intact(stored.parent)
        assert not list((made.folder / "out").glob(".*"))


def test_a_folder_that_is_no_model_is_left_alone(made, tmp_path):
    kept = tmp_path / made.static.cell.id / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    with pytest.raises(model_card.UserError, match="it is there, and is no model; name another folder with --out"):
        model_card.export(made.static.run, made.static.cell, tmp_path)
    assert kept.read_text() == "years of work"


# --- the card ---


def test_the_head_of_the_card_lists_the_scores_of_the_run(made):
    for one in (made.static, made.bert):
        data = ModelCard.load(one.folder / "README.md").data
        ((dataset, units),) = tables.all_units(one.run, one.cell)
        macro = metrics.macro(metrics.by_language(units)).set_index(["setting", "metric"])["value"]
        found = {result.metric_name: result.metric_value for result in data.eval_results}
        for setting in metrics.SETTINGS:
            assert found[f"{setting} mAP"] == pytest.approx(macro[setting, "map"], abs=1e-6)
        assert found["rank distance"] == pytest.approx(macro["multilingual", "rank_distance"], abs=1e-6)
        assert {result.dataset_name for result in data.eval_results} == {"test"}
        assert data.language == ["de", "en", "zh"]
        assert data.library_name == "sentence-transformers" and data.model_name == one.cell.id
        assert (data.license, data.base_model) == ("other", None)  # an encoder of one's own


def test_the_card_says_how_the_model_was_made_and_what_it_is_not(made):
    text = (made.bert.folder / "README.md").read_text(encoding="utf-8")
    record = cells.record(made.bert.run, made.bert.cell)
    batches = record["training"]["batches"]
    for line in (
        "# bert_train_hybrid-0.5_seed0",
        "bert, fine-tuned on train with hybrid-0.5 batches",
        "| batches | hybrid-0.5: each batch is monolingual with probability alpha = 0.5, else its pairs are cross-ling",
        f"| data | train: {batches['questions']} questions, {batches['pairs']} pairs |",
        "| steps | 3 |",
        "| batch size | 8 |",
        "| learning rate | 0.01, linear decay after 1 steps of warm-up |",
        "temperature 0.05",
        "| seed | 0 |",
        "It was fine-tuned on de, en, zh alone",
        "beyond 32 tokens",
        "| data train | not known here |",
        f"`{record['encoded']['query']}`",
    ):
        assert line in text, line
    assert str(made.folder) not in text  # no place of this machine
    numbers = re.search(r"\| test \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \|", text)
    data = ModelCard.load(made.bert.folder / "README.md").data
    assert [float(number) for number in numbers.groups()[:3]] == [
        round(r.metric_value, 3) for r in data.eval_results[:3]
    ]
    assert int(numbers[4]) == round(data.eval_results[3].metric_value)


def test_the_card_says_what_this_encoder_was_trained_with():
    """A profile may have keys for one encoder alone; cells of sweeps, which change some, are no models to export."""
    run = config.load("full", ["encoder=[use-m]"])
    cell = grid.plan(run.config)[1]
    said = model_card.written(run, cell, LOG, ENCODED, SCORES)
    assert run.config.learning_rate == 3e-5 and "| 0.0003, linear decay" in said and "temperature 0.05" in said
    assert not [cell for cell in grid.named(run, "*", trained=True) if cell.is_part]


def test_held_out_rows_of_a_file_are_scores_of_their_own(monkeypatch):
    """A whole file, its held-out rows, and another file that only ends in the same word."""
    row = {"setting": "monolingual", "query_language": "en", "passage_language": "en", "question": 0}
    names = ("/a/other.jsonl", "/a/other.jsonl-heldout", "b/my-heldout.csv")
    parts = [(name, pd.DataFrame([row | {"map": n / 4}])) for n, name in enumerate(names)]
    monkeypatch.setattr(tables, "all_units", lambda run, cell: parts)
    found = model_card.scores(None, None)
    assert found["monolingual mAP"].to_dict() == {"other": 0, "other-heldout": 0.25, "my-heldout": 0.5}
    assert [result.dataset_name for result in model_card._results(found)] == list(found.index)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a/my.csv.gz", "my"), ("a/my.csv-heldout", "my-heldout"), ("my-heldout.jsonl", "my-heldout"), ("facts", "facts"),
     ("facts-heldout", "facts-heldout")],
)  # fmt: skip
def test_a_set_is_named_without_its_place_and_a_part_as_such(name, shown):
    assert model_card._name(name) == shown


def test_the_card_of_a_known_encoder_and_set_names_their_licences():
    run = config.load("full")
    cell = grid.Cell("e5-small-q4", "mlqa-r", "x-y", None, 0)
    said = model_card.written(run, cell, LOG, ENCODED, SCORES)
    assert said.split("## Licences\n\n")[1].splitlines()[2:5] == [
        "| encoder e5-small-q4 | MIT |", "| data mlqa-r | CC BY-NC 4.0 (as released there) |", ""
    ]  # fmt: skip
    said = model_card.written(run, grid.Cell("xlm-r", "mmarco", "x-y", None, 0), LOG, ENCODED, SCORES)
    assert "| data mmarco | translations of MS MARCO" in said


def test_a_sign_that_divides_columns_does_not_divide_those_of_a_card():
    said = model_card.written(config.load("full"), grid.Cell("static", "facts", "x-x", None, 0), LOG, ENCODED, SCORES)
    assert "| tested on | monolingual mAP |\n| --- | --- |\n| a\\|b | 0.500 |\n" in said


def test_the_code_of_the_card_runs_as_it_stands(forking, made):
    text = (made.bert.folder / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert "tensor([[" in plainly(forking, made.folder / "out", 'import sys\nsys.modules["lib"] = None\n' + code)


# --- the command ---


def asked(one, *more: str) -> list[str]:
    return ["--profile", "smoke", *(x for text in one.overrides for x in ("--set", text)), *more]


def test_the_command_exports_what_the_function_exports(made, tmp_path, capsys):
    one = made.static
    assert model_card.main(asked(one, "--cells", "*_seed0", "--out", str(tmp_path / "out"))) == 0
    assert one.cell.id in capsys.readouterr().out
    for path in one.folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / "out" / one.cell.id / path.relative_to(one.folder)).read_bytes() == path.read_bytes()


def test_a_mistake_is_one_line(made, tmp_path, monkeypatch, capsys):
    one = made.static
    assert model_card.main(asked(one, "--cells", "*_none")) == 2
    assert "--cells *_none: no trained cell of run" in capsys.readouterr().err
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "empty"))
    assert model_card.main(asked(one, "--out", str(tmp_path / "out"))) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: the model of {one.cell.id} is not in the store; make it: ./run_all.sh")
    assert told.count("\n") == 1 and not (tmp_path / "out").exists()


# --- the real word vectors ---


@pytest.mark.slow
def test_the_static_encoder_trained_on_facts_encodes_the_same_outside(forking, smoke_folders):
    run = config.load("smoke", ["steps=2", "warmup_steps=1", "strategies=[hybrid]", "eval=[facts]"])
    (cell,) = grid.plan(run.config)
    cells.finish(run, cell)
    folder = model_card.export(run, cell, smoke_folders / "out")
    texts = ["Wo liegt Athen?", "ประเทศไทย", "Quito is the capital of Ecuador.", "🜨"]
    plainly(forking, smoke_folders, PLAIN, json.dumps([str(folder)]), json.dumps(texts))
    stored = encoders.load(cells.model(run, cell), "cpu")
    found = np.load(f"{folder}.npy", allow_pickle=False)
    for vectors, kind in zip(found, ("query", "document"), strict=True):
        np.testing.assert_allclose(vectors, embedding.encode(stored, texts, kind), atol=1e-6, rtol=0)
    card = ModelCard.load(folder / "README.md")
    assert card.data.base_model == "intfloat/multilingual-e5-small"
    assert "| data facts | Apache-2.0" in card.text and "a mean of word vectors" in card.text


def test_what_a_killed_export_left_goes_with_the_next_one(made, tmp_path):
    one = made.static
    old, young = (tmp_path / f".{one.cell.id}.{name}" for name in ("old", "young"))
    for left in (old, young):
        (left / "made").mkdir(parents=True)
    os.utime(old, (1, 1))
    model_card.export(one.run, one.cell, tmp_path)
    assert not old.exists() and young.exists() and (tmp_path / one.cell.id / "modules.json").exists()
