"""mMARCO: sampled, joined by id from files laid out as released, and trained on with its explicit negatives."""

import hashlib
import importlib
import io
import json
import random
import shutil
import sys
import tarfile

import numpy as np
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import write_labse, write_transformer

from lib import __main__ as main
from lib.base import config
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data import jsonl
from lib.data import sets as parallel
from lib.data.released import mmarco
from lib.data.released import squadshifts as validation
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evidence import judge as evidence
from lib.evidence import tables
from lib.evidence.paper import verdicts
from lib.runs import cells
from lib.runs import plan as grid
from lib.runs import preflight as checks
from lib.training import fit as training
from lib.training.pairs import Pairs
from lib.training.sampling import LanguageBatchSampler, Strategy

FILE_NAMES = {"ar": "arabic", "de": "german", "es": "spanish", "hi": "hindi", "ru": "russian", "zh": "chinese"}
PACKAGE = "ir_datasets"
QUERIES, PASSAGES = range(100, 124), range(1000, 1060)


# --- what was released, small ---


def text(language: str, number: int) -> str:
    """Made-up words in letters that the toy tokenizer has, others for each language and number."""
    draw = random.Random(f"{language} {number}")
    return f"{language}{number} " + " ".join("".join(draw.choices("Wherolitg", k=5)) for _ in range(6))


def triples() -> list[str]:
    """Three lines a query: its one right passage, three others that answer no query."""
    return [f"{q}\t{1000 + n}\t{1030 + (n + k) % 30}" for n, q in enumerate(QUERIES) for k in range(3)]


def table(language: str, numbers) -> bytes:
    return "".join(f"{n}\t{text(language, n)}\n" for n in numbers).encode()


def write_tar(path, name: str, content: bytes) -> None:
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def write_home(home) -> None:
    """Write the files where ir_datasets keeps them."""
    (home / "mmarco" / "v2").mkdir(parents=True)
    (home / "msmarco-passage").mkdir()
    (home / "mmarco" / "triples.train.ids.small.tsv").write_text("".join(line + "\n" for line in triples()))
    for language, name in FILE_NAMES.items():
        (home / "mmarco" / "v2" / f"{name}_collection.tsv").write_bytes(table(language, PASSAGES))
        (home / "mmarco" / "v2" / f"{name}.queries.train.tsv").write_bytes(table(language, QUERIES))
    broken = table("en", PASSAGES).replace(b"en1000 ", "cafÃ© ".encode())  # some released passages are encoded twice
    write_tar(home / "msmarco-passage" / "collectionandqueries.tar.gz", "collection.tsv", broken)
    write_tar(home / "msmarco-passage" / "queries.tar.gz", "queries.train.tsv", table("en", QUERIES))


@pytest.fixture(scope="module")
def own_import(tmp_path_factory):
    """ir_datasets over a home of its own: imported anew, since it looks for its home when it is imported."""
    pytest.importorskip(PACKAGE)
    folder = tmp_path_factory.mktemp("ir_datasets")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == PACKAGE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IR_DATASETS_HOME", str(folder))
        importlib.import_module(PACKAGE)
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.fixture
def home(own_import, own_folders):
    """The home as it is once everything has been downloaded."""
    shutil.rmtree(own_import)
    write_home(own_import)
    return own_import


# --- the sample ---

LINES = st.lists(st.tuples(*[st.integers(0, 9)] * 3).map(lambda ids: "\t".join(map(str, ids))), max_size=30)


def sampled(path, lines: list[str], number: int, seed: int = 0) -> list[str]:
    path.write_text("".join(line + "\n" for line in lines))
    return ["\t".join(triple) for triple in mmarco.sample(path, number, seed)]


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(1, 40), st.randoms())
def test_the_sample_is_the_lines_of_smallest_hash_in_whatever_order_the_file_is(tmp_path_factory, lines, number, draw):
    path = tmp_path_factory.getbasetemp() / "lines.tsv"

    def place(line: str) -> str:
        return hashlib.blake2b(line.encode(), digest_size=8, key=b"0").hexdigest()

    lines = list(dict.fromkeys(lines))
    found = sampled(path, lines, number)
    assert found == sorted(lines, key=place)[:number]
    draw.shuffle(lines)
    assert sampled(path, lines, number) == found
    assert sampled(path, lines, number + 3)[:number] == found


def test_equal_lines_count_once_and_another_seed_gives_another_sample(tmp_path):
    assert sampled(tmp_path / "t", ["1\t2\t3", "1\t2\t3"], 2) == ["1\t2\t3"]
    assert set(sampled(tmp_path / "t", triples(), 20, seed=1)) != set(sampled(tmp_path / "t", triples(), 20, seed=0))


def test_only_the_wanted_texts_are_kept(tmp_path):
    (tmp_path / "t").write_bytes("1\tone\n11\televen\n2\ttwo\twith a tab \r\n3\tдва\x85три".encode())
    assert mmarco.texts(tmp_path / "t", {"2", "3", "4"}) == {"2": "two\twith a tab", "3": "два\x85три"}


def test_an_incomplete_triple_or_one_that_says_the_same_twice_is_left_out():
    queries = {"de": {"1": "Frage", "2": "Frage 2"}, "en": {"1": "question", "2": ""}}
    passages = {"de": {"7": "ja", "8": "nein"}, "en": {"7": "yes", "8": "no", "9": "yes"}}
    asked = [("1", "7", "8"), ("2", "7", "8"), ("1", "8", "9"), ("1", "7", "9")]
    assert list(mmarco.rows(asked, queries, passages)) == [
        {
            "id": "1#7-8", "split": "train", "q": {"de": "Frage", "en": "question"},
            "p": {"de": "ja", "en": "yes"}, "n": {"de": "nein", "en": "no"},
        }
    ]  # fmt: skip
    passages["de"]["9"] = "vielleicht"
    assert [row["id"] for row in mmarco.rows(asked, queries, passages)] == ["1#7-8", "1#8-9"]  # 7 and 9 are both "yes"


# --- from the released files ---


def test_rows_are_joined_by_id_over_all_languages(home, monkeypatch):
    path = mmarco.fetch(30)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 30
    for row in rows:
        query, positive, negative = (int(part) for part in row["id"].replace("-", "#").split("#"))
        assert f"{query}\t{positive}\t{negative}" in triples()
        wanted = {x: text(x, positive) for x in mmarco.LANGUAGES}
        if positive == 1000:
            wanted["en"] = wanted["en"].replace("en1000", "café")
        assert (row["q"], row["p"]) == ({x: text(x, query) for x in mmarco.LANGUAGES}, wanted)
        assert row["n"] == {x: text(x, negative) for x in mmarco.LANGUAGES}
    monkeypatch.setattr(mmarco, "_build", lambda *arguments: pytest.fail("made again"))
    assert mmarco.fetch(30) == path
    assert {row["id"] for row in jsonl.read_rows(path)} == {row["id"] for row in rows}


def test_a_download_is_taken_if_its_md5_is_right_and_refused_in_one_line_if_not(home, tmp_path, monkeypatch):
    import ir_datasets
    from ir_datasets.util import LocalDownload

    monkeypatch.setenv("IR_DATASETS_SKIP_DISK_FREE", "true")  # it would ask for the 4 GB of the real one
    released = home / "mmarco" / "v2" / "german_collection.tsv"
    released.rename(tmp_path / "elsewhere.tsv")
    download = ir_datasets.load("mmarco/v2/de/train").docs_handler()._dlc
    monkeypatch.setattr(download, "_path", None)
    monkeypatch.setattr(download, "mirrors", [LocalDownload(tmp_path / "elsewhere.tsv")])
    with pytest.raises(
        UserError, match=r"mMARCO: docs of mmarco/v2/de/train cannot be had \(Expected md5 .*start again"
    ):
        mmarco.fetch(30)
    assert not released.exists()
    monkeypatch.setattr(download, "expected_md5", hashlib.md5((tmp_path / "elsewhere.tsv").read_bytes()).hexdigest())
    assert mmarco.fetch(30).is_file() and released.is_file()


def test_a_collection_without_the_texts_is_named(home):
    (home / "mmarco" / "v2" / "hindi_collection.tsv").write_bytes(table("hi", range(1000, 1020)))
    with pytest.raises(UserError, match=r"of 72 triples have all their texts, and hi lacks most; .*mmarco/v2/hi/train"):
        mmarco.fetch(1_000)


def test_without_ir_datasets_the_package_is_named(own_folders, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UserError, match=r"mmarco: the package ir-datasets is missing; pip install"):
        mmarco.fetch()
    run = config.load("smoke", ["train=mmarco"])
    with pytest.raises(UserError, match=r"mmarco: the package ir-datasets is missing; pip install"):
        checks.work(run, grid.plan(run.config), fetch=False)


# --- training on triples ---


def with_negatives(questions: int, negative) -> list[dict]:
    """Rows whose explicit negative is that of `negative(n)`: the name of a word."""
    made = synthetic.rows(questions)
    return [row | {"n": {x: f"{negative(n)}{x}" for x in row["p"]}} for n, row in enumerate(made)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": None}, "field 'n' must map language codes to texts"),
        ({"n": {"de": "x", "en": " ", "zh": "x"}}, "field 'n', language 'en': must be a text"),
        ({"n": {"de": "x", "en": "x"}}, "field 'n': its languages must be those of 'p'"),
        ({"n": {"de": "x", "en": "p1en", "zh": "x"}}, "field 'n', language 'en': it is the text that answers"),
        ({}, "field 'n': it must be in all rows or in none"),
    ],
)
def test_a_wrong_negative_is_named_with_its_row(tmp_path, change, said):
    first, second = with_negatives(1, lambda n: "n")[0], synthetic.rows(2)[1] | change
    (tmp_path / "my.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    with pytest.raises(UserError, match=f"my.jsonl, row 2: {said}"):
        jsonl.read_rows(tmp_path / "my.jsonl")


def test_negatives_are_part_of_the_content_and_follow_their_questions():
    made = parallel.from_rows("made up", with_negatives(4, lambda n: f"n{n}"))
    other = parallel.from_rows("made up", with_negatives(4, lambda n: f"n{(n + 1) % 4}"))
    assert made.digest != other.digest
    kept = made.only(made.questions["id"].isin(["1", "3"]).to_numpy())
    found = [[made.passages["text"][row] for row in rows] for rows in kept.negatives]
    assert found == [[f"n{n}{x}" for x in kept.languages] for n in (1, 3)]


def test_each_pair_has_the_negative_of_its_question_in_the_language_of_its_passage():
    made = parallel.from_rows("made up", with_negatives(5, lambda n: f"n{n}"))
    pairs = Pairs.of(made)
    dataset = training.as_dataset(made, pairs)
    assert dataset.column_names == ["anchor", "positive", "negative"]
    row = int(pairs.row[3, 0, 2])  # question 3, German query, Chinese passage
    assert dataset[row] == {"anchor": "q3de", "positive": "p3zh", "negative": "n3zh"}


def test_a_negative_never_meets_the_question_that_it_answers():
    made = parallel.from_rows("made up", with_negatives(12, lambda n: f"p{(n + 1) % 12}"))  # the next one's answer
    sampler = LanguageBatchSampler(Strategy("hybrid", 0.5), Pairs.of(made), batch_size=4)
    question = {row: n for n, rows in enumerate(sampler.pairs.row) for row in rows.ravel().tolist()}
    batches = [batch for epoch in range(20) for batch in sampler.batches(epoch)]
    for batch in batches:
        members = {question[row] for row in batch.rows}
        assert not members & {(n + 1) % 12 for n in members}
    assert sum(batch.avoided for batch in batches) > 0


@pytest.fixture
def tiny_paper(home, tmp_path, monkeypatch):
    """How to make a run of the profile with an encoder of tiny size and a few steps: its overrides."""
    for name in ("_mmarco", "_trainable"):
        monkeypatch.setattr(data, name, getattr(data, name).__wrapped__)  # not from, nor into, the process's cache
    monkeypatch.setattr(validation, "pairs", lambda: [(f"question {n}", f"answer {n}") for n in range(8)])
    # So tiny a model spends its time in the tokenizer: texts are batched by their letters, not by a pass of its own.
    monkeypatch.setattr(embedding, "_batches", lambda model, texts, longer: np.array_split(
        np.argsort([len(text) for text in texts]), 1 + len(texts) // 8_192))  # fmt: skip
    changes = ["steps=3", "batch_size=8", "warmup_steps=1", "max_tokens=8", "precision=float32", "seeds=[0]"]
    return [*changes, f"encoder={tmp_path / 'encoder'}"]


@pytest.mark.real_data
def test_from_the_released_files_to_a_trained_xlm_r(tiny_paper, real_data, tmp_path, monkeypatch):
    import torch
    from sentence_transformers.sentence_transformer import losses

    write_transformer("xlm-r", tmp_path / "encoder")
    chosen = config.load("paper", tiny_paper).config
    questions = data.training_set("mmarco", chosen.eval)
    assert len(questions.questions) == 72 and questions.languages == list(mmarco.LANGUAGES)
    recipe = training.Recipe(
        chosen.encoder[0],
        encoders.identity(chosen.encoder[0]),
        "mmarco",
        questions.digest,
        Strategy("hybrid", 0.5),
        0,
        chosen,
    )
    seen = []
    forward = losses.MultipleNegativesRankingLoss.forward

    def record(self, features, labels):
        seen.append([len(texts["input_ids"]) for texts in features])
        return forward(self, features, labels)

    monkeypatch.setattr(losses.MultipleNegativesRankingLoss, "forward", record)
    folder = training.train(recipe, tmp_path / "encoder", questions)
    assert seen == [[8, 8, 8]] * 3 + [[8, 8]]  # queries, right and wrong passages; then validation, as in the paper
    log = training.log_of(folder)
    assert log["kept"] == 3
    assert [step["loss"] > 0 for step in log["steps"]] == [True] * 3
    before, after = encoders.load(tmp_path / "encoder", "cpu"), encoders.load(folder / training.MODEL, "cpu")
    assert len(after.tokenizer) == len(before.tokenizer)
    moved = [not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert any(moved)


def make_cells(changes: list[str]) -> config.Run:
    arguments = [part for change in changes for part in ("--set", change)]
    assert main.main(["--profile", "paper", *arguments, "--cells", "*"]) == 0
    return config.load("paper", changes)


@pytest.mark.real_data
def test_the_paper_profile_goes_from_its_estimate_to_its_verdicts(tiny_paper, real_data, tmp_path, capsys, monkeypatch):
    """Released files, small; an XLM-R, tiny; MLQA-R as it is, and without XQuAD-R, which takes four times as long.

    Nothing is read off the vectors but ranks, which would take as long again.
    """
    monkeypatch.setattr(cells, "LOOKED_AT", ())
    write_transformer("xlm-r", tmp_path / "encoder")
    run = make_cells([*tiny_paper, "eval=[mlqa-r]"])
    said = capsys.readouterr().out
    assert 0 < said.index("GPU hours") < said.index("GPU memory") < said.index("mmarco_hybrid-0.5_seed0")
    judged = evidence.judge(run).set_index("id")
    table = tables.read(run, "metrics.csv")
    assert set(zip(table["train"], table["strategy"], strict=True)) == {
        ("none", "none"), ("mmarco", "x-x-mono"), ("mmarco", "x-y"), ("mmarco", "hybrid")
    }  # fmt: skip
    by_set = table[table["metric"] == "map"].groupby(["dataset", "train"])["setting"].nunique()
    assert by_set.to_dict() == {("mlqa-r", train): 3 for train in ("none", "mmarco")}
    assert "of 4 comparisons: " in judged.loc["8", "reason"] and ", 2 not run" in judged.loc["8", "reason"]
    assert "of 21 comparisons: " in judged.loc["11", "reason"]
    assert judged.loc["1", "verdict"] == verdicts.REPRODUCED
    assert judged.loc["6", "verdict"] == verdicts.NOT_RUN  # it is on both benchmarks


@pytest.mark.real_data
def test_the_paper_profile_trains_and_scores_an_encoder_laid_out_as_labse(tiny_paper, real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "LOOKED_AT", ())
    write_labse(tmp_path / "encoder")
    run = make_cells([*tiny_paper, "strategies=[hybrid]", "eval=[facts]"])
    (cell,) = grid.plan(run.config)
    assert cells.record(run, cell)["training"]["kept"] == 3
    model = encoders.load(cells.model(run, cell), "cpu")
    assert [type(part).__name__ for part in model] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert model[1].pooling_mode == "cls"


def test_the_sample_is_as_large_as_what_the_profile_looks_at_and_planning_downloads_nothing(monkeypatch):
    paper = config.load("paper").config
    assert paper.train == ("mmarco",) and paper.steps * paper.batch_size <= mmarco.TRIPLES
    monkeypatch.setattr(mmarco, "released", lambda *arguments: pytest.fail("downloaded"))
    assert data.training_digest("mmarco", paper.eval) == data.training_digest("mmarco", paper.eval)
    assert mmarco.identity() != mmarco.identity(seed=1) != mmarco.identity(number=10)
