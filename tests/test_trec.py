"""TREC files: trec_eval, reading them from disk, must find our measures; any tool must find the same order."""

import gzip
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from lib.base import config
from lib.data import sets as parallel
from lib.evaluation import metrics
from lib.evidence import tables
from lib.interop import trec
from lib.runs import cells
from lib.runs import plan as grid

DEPTH = 7


def row(number: int) -> dict:
    """A question with a space in its id; many passages get equal scores, in one language and across languages."""
    passage = {x: f"p{number}{x}" for x in synthetic.LANGUAGES}
    if number % 3 == 0:
        passage = {x: f"p{number}" for x in synthetic.LANGUAGES}  # one text in all languages
    elif number % 5 == 0:
        passage = {x: f"unseen{number}{x}" for x in synthetic.LANGUAGES}  # unknown words are all alike
    query = {x: f"q{number}{x} p{number}{x}" for x in synthetic.LANGUAGES[: 2 + number % 2]}
    return {"id": f"test {number}%", "q": query, "p": passage, "split": "test"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny run with two finished cells, and their files: of all passages, and of the first few."""
    folder = tmp_path_factory.mktemp("trec")
    with synthetic.folders(folder):
        overrides = synthetic.own_files(folder)
        (folder / "test.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in range(24)))
        overrides += ["steps=2", "batch_size=8", "warmup_steps=1", "strategies=[none,hybrid]"]
        run = config.load("smoke", overrides)
        for cell in grid.plan(run.config):
            cells.finish(run, cell)
            trec.write(run, cell, folder / "whole", depth=None)
            trec.write(run, cell, folder / "cut", depth=DEPTH)
        yield SimpleNamespace(run=run, cells=grid.plan(run.config), folder=folder, overrides=overrides)


def read(path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n").split("\t" if "languages" in path.name else " ") for line in file]


def files(made, cell, kind: str = "whole"):
    """Each run file of a cell with its qrels, and the row of the table that it should give."""
    place = made.folder / kind / "test"
    for path in sorted((place / cell.id).rglob("*.run.gz")):
        setting, name = path.parent.name, path.name.removesuffix(".run.gz")
        query, _, passage = name.partition("_")
        passage = metrics.POOL if setting == "multilingual" else passage or query
        yield path, place / "qrels" / setting / f"{name}.qrels.gz", (setting, query, passage)


def units(made, cell):
    """Our own values of the cell, one row a query and setting, by setting and languages."""
    ((_, table),) = tables.all_units(made.run, cell)
    return dict(iter(table.groupby(["setting", "query_language", "passage_language"])))


def trec_eval(run_file, qrels_file, measures: set[str]) -> dict[str, dict[str, float]]:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    with gzip.open(run_file, "rt") as run, gzip.open(qrels_file, "rt") as qrels:
        judged, found = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
    return pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(found)


# --- what trec_eval reads ---


def test_trec_eval_finds_our_measures_in_the_files_of_every_setting(made):
    names = {"map": "map", "recall_1": "recall@1", "recall_10": "recall@10", "ndcg_cut_10": "ndcg@10"}
    for cell in made.cells:
        ours = units(made, cell)
        assert {key for *_, key in files(made, cell)} == set(ours)
        for run_file, qrels_file, key in files(made, cell):
            found = trec_eval(run_file, qrels_file, {"map", "recall.1,10", "ndcg_cut.10"})
            assert len(found) == len(ours[key])
            for theirs, name in names.items():
                assert np.mean([v[theirs] for v in found.values()]) == pytest.approx(ours[key][name].mean(), abs=1e-9)
            one_by_one = sorted(value["map"] for value in found.values())
            assert one_by_one == pytest.approx(sorted(ours[key]["map"]), abs=1e-9)


def test_the_runs_table_holds_what_the_files_give(made):
    tables.write(made.run)
    table = tables.read(made.run, "metrics_by_language.csv.bz2")
    table = table[table["metric"] == "map"].set_index(["strategy", "setting", "query_language", "passage_language"])
    for cell in made.cells:
        for run_file, qrels_file, key in files(made, cell):
            found = trec_eval(run_file, qrels_file, {"map"})
            row = table.loc[(cell.strategy, *key)]
            assert np.mean([v["map"] for v in found.values()]) == pytest.approx(row["value"], abs=5.1e-5)  # 4 decimals
            assert len(found) == row["n"]


def test_passages_with_equal_scores_stand_by_docid_descending(made):
    """As trec_eval would order them; the scores say so too, for tools that order ties otherwise."""
    data = cells.data.evaluation_set(made.run.config.eval[0])
    words = {text for number in range(24) for text in synthetic.rows(24)[number]["p"].values()}
    alike = set(data.passages["docid"][~data.passages["text"].isin(words)])  # of unknown words alone
    assert len(alike) > 20
    for run_file, _, (setting, *_) in files(made, made.cells[0]):
        if setting == "multilingual":
            by_query: dict[str, list[str]] = {}
            for qid, _, docid, *_ in read(run_file):
                by_query.setdefault(qid, []).append(docid)
            for docids in by_query.values():
                first = next(place for place, docid in enumerate(docids) if docid in alike)
                assert docids[first : first + len(alike)] == sorted(alike, reverse=True)


def test_rank_distance_follows_from_the_files(made):
    for cell in made.cells:
        ours = units(made, cell)
        for run_file, qrels_file, key in files(made, cell):
            if key[0] != "multilingual":
                continue
            relevant = {(qid, docid) for qid, _, docid, _ in read(qrels_file)}
            ranks: dict[str, list[int]] = {}
            for qid, _, docid, rank, *_ in read(run_file):
                if (qid, docid) in relevant:
                    ranks.setdefault(qid, []).append(int(rank))
            found = sorted(max(some) - min(some) for some in ranks.values())
            assert found == sorted(ours[key]["rank_distance"])


def test_at_a_depth_what_lies_beyond_counts_as_not_found(made):
    for cell in made.cells:
        ranks = cells.ranks(made.run, cell)
        for run_file, qrels_file, (setting, query, passage) in files(made, cell, "cut"):
            wanted = ranks["query_language"] == query
            if passage != metrics.POOL:
                wanted &= ranks["passage_language"] == passage
            column = "pool_rank" if setting == "multilingual" else "rank"
            values = []
            for _, own in ranks[wanted].groupby("question")[column]:
                seen = [place / rank for place, rank in enumerate(sorted(own), start=1) if rank <= DEPTH]
                values.append(sum(seen) / len(own))
                whole = sum(place / rank for place, rank in enumerate(sorted(own), start=1)) / len(own)
                assert whole - len(own) / DEPTH <= values[-1] <= whole
            found = trec_eval(run_file, qrels_file, {"map"})
            assert sorted(value["map"] for value in found.values()) == pytest.approx(sorted(values), abs=1e-9)


# --- their form ---


@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_lines_have_six_fields_ranks_from_1_and_scores_that_fall_in_float32_too(made, kind):
    for cell in made.cells:
        for run_file, qrels_file, (_, query, _) in files(made, cell, kind):
            by_query: dict[str, list[list[str]]] = {}
            for fields in read(run_file):
                assert len(fields) == 6 and fields[1] == "Q0" and fields[5] == cell.id
                by_query.setdefault(fields[0], []).append(fields)
            assert {fields[0] for fields in read(qrels_file)} == set(by_query)
            for qid, lines in by_query.items():
                assert qid.startswith(f"{query}-test%20") and qid.endswith("%25")
                assert [int(fields[3]) for fields in lines] == list(range(1, len(lines) + 1))
                assert (np.diff(np.float32([fields[4] for fields in lines])) < 0).all()
                assert len({fields[2] for fields in lines}) == len(lines)


def test_the_map_gives_the_language_of_every_docid(made):
    for kind in ("whole", "cut"):
        place = made.folder / kind / "test"
        language = dict(read(place / "languages.tsv.gz"))
        assert set(language.values()) == set(synthetic.LANGUAGES)
        for path in place.rglob("*.*.gz"):
            if path.name != "languages.tsv.gz":
                docids = {fields[2] for fields in read(path)}
                assert docids <= set(language)
                _, _, passage = path.name.split(".")[0].partition("_")
                if passage:
                    assert {language[docid] for docid in docids} == {passage}
    pool = {fields[2] for path, *_ in files(made, made.cells[0]) for fields in read(path)}
    assert pool == set(dict(read(made.folder / "whole" / "test" / "languages.tsv.gz")))


def test_the_lines_are_as_many_as_was_said(made):
    data = cells.data.evaluation_set(made.run.config.eval[0])
    for kind, depth in (("whole", None), ("cut", DEPTH)):
        written = sum(len(read(path)) for path, *_ in files(made, made.cells[0], kind))
        assert written == trec.lines(data, depth)


def test_the_same_cells_give_the_same_bytes(made, tmp_path):
    before = {path: path.read_bytes() for path in (made.folder / "whole").rglob("*.gz")}
    trec.write(made.run, made.cells[1], tmp_path, depth=None)
    again = list(tmp_path.rglob("*.gz"))
    assert len(again) > 20
    for path in again:
        assert path.read_bytes() == before[made.folder / "whole" / path.relative_to(tmp_path)]


def test_a_set_that_is_not_parallel_has_monolingual_files_alone():
    rows = [{"id": str(n), "q": {x: f"q{n}"}, "p": {x: f"p{n}"}} for n, x in enumerate(["de", "de", "en"])]
    found = trec.settings(parallel.from_rows("apart", rows))
    assert [setting.name for setting in found] == ["monolingual/de", "monolingual/en"]
    assert [setting.corpus for setting in found] == [(0, 2), (2, 3)]


@given(st.lists(st.text(alphabet=" \t\n\u3000%2059ab", max_size=6), unique=True))
def test_ids_have_no_white_space_and_stay_different(texts):
    found = [trec.token(text) for text in texts]
    assert not any(character.isspace() for text in found for character in text)
    assert len(set(found)) == len(texts)


def test_the_same_id_in_a_language_and_in_a_kind_of_it_are_two_qids():
    rows = [{"id": "BR-1", "q": {"pt": "a"}, "p": {"pt": "b"}}, {"id": "1", "q": {"pt-BR": "c"}, "p": {"pt-BR": "d"}}]
    assert sorted(trec.ids(parallel.from_rows("two", rows))[0]) == ["pt-BR-1", "pt_BR-1"]


def test_texts_are_encoded_with_the_settings_of_the_cell(made, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(trec.embedding, "encode_sets", lambda model, names, config: seen.append(config) or iter(()))
    cell = made.cells[0]
    own = {cell.encoder: {"max_tokens": 16}}
    trec.write(replace(made.run, config=replace(made.run.config, by_encoder=own)), cell, tmp_path)
    assert seen[0].max_tokens == 16 != made.run.config.max_tokens


# --- the command ---


def asked(made, *more: str) -> list[str]:
    return ["--profile", "smoke", *(x for text in made.overrides for x in ("--set", text)), *more]


def test_the_command_writes_what_the_function_writes(made, tmp_path, capsys):
    assert trec.main(asked(made, "--cells", "*_none", "--depth", str(DEPTH), "--out", str(tmp_path))) == 0
    count = trec.lines(cells.data.evaluation_set(made.run.config.eval[0]), DEPTH)
    assert f"{count:,} lines" in capsys.readouterr().out
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.gz")}
    for name, content in written.items():
        assert content == (made.folder / "cut" / name).read_bytes()
    assert not [name for name in written if made.cells[1].id in name.parts]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--depth", "0"], "--depth 0: a whole number from 1 is right, such as 1000, or all"),
        (["--depth", "deep"], "--depth deep: a whole number from 1 is right"),
        (["--cells", "other"], "--cells other: no cell of run"),
        (["--profile", "none"], "profile 'none' does not exist"),
        (["--deep"], "unrecognized arguments: --deep"),
    ],
)
def test_a_mistake_is_one_line(made, tmp_path, capsys, more, line):
    assert trec.main(asked(made, "--out", str(tmp_path / "out"), *more)) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {line}") and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_gone_is_told_with_the_command_that_makes_it(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "empty"))
    assert trec.main(asked(made, "--out", str(tmp_path / "out"))) == 2
    told = capsys.readouterr().err
    trained = made.cells[1].id
    assert told.startswith(f"error: the model of {trained} is not in the store; make it: ./run_all.sh --profile smoke")
    assert "--set steps=2 --set batch_size=8" in told and told.endswith(f"--cells {trained}\n")
    assert not (tmp_path / "out").exists()


def test_a_cell_that_is_not_finished_is_told_with_the_command_that_makes_it(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path / "empty"))
    assert trec.main(asked(made, "--cells", "*hybrid*")) == 2
    assert f"{made.cells[1].id} is not finished; make it: ./run_all.sh" in capsys.readouterr().err
