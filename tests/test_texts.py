"""Written texts around computed numbers: they are filled, and refuse to say what is no longer true."""

import copy

import pandas as pd
import pytest

from lib.base import paths
from lib.base import store as artifacts
from lib.evidence import judge
from lib.figures import gallery
from lib.runs import cells, records
from lib.runs.open import open_run
from lib.show import texts

PUBLISHED = paths.ROOT / "results" / "full" / "published"


@pytest.fixture
def numbers():
    return texts.published()


def far(numbers):
    found = numbers["encoders"]["e5-small-q4"]["shift"]["mlqa-r"]["far"]["multilingual"]
    return found["difference of costs"]["hybrid-0.5"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"value": -0.0244, "low": -0.0301, "high": -0.0172}, "−.024 [−.030, −.017]"),
        ({"value": 0.0041, "low": -0.0039, "high": 0.0121}, "+.004 [−.004, +.012]"),
    ],
)
def test_a_difference_is_written_with_its_interval(row, text):
    assert texts.interval(row) == text


@pytest.mark.parametrize(
    ("code", "name"),
    [("de", "German"), ("pt-BR", "Brazilian Portuguese"), ("pt-AO", "Portuguese (AO)"),
     ("zh-Hant", "Traditional Chinese"), ("xyz", "xyz"), ("xyz-BR", "xyz-BR")],
)  # fmt: skip
def test_languages_are_named_in_english_wherever_people_read_them(code, name):
    assert texts.language(code) == name


def test_a_changed_number_changes_the_text_where_it_stands(numbers):
    before = texts.answer(numbers)
    changed = copy.deepcopy(numbers)
    far(changed)["x-x-mono"]["value"] = -0.4321
    after = texts.answer(changed)
    assert "−.432" in after and "−.432" not in before
    assert len(before.splitlines()) == len(after.splitlines())


def test_a_word_that_is_no_longer_true_is_not_written(numbers):
    far(numbers)["x-y"]["verdict"] = "equivalent"
    said = "answer.md.j2 says 'open' where the tables say 'equivalent'"
    with pytest.raises(texts.UntrueTextError, match=said):
        texts.answer(numbers)


def test_a_comparison_that_is_no_longer_true_is_not_written(numbers):
    mixed = numbers["encoders"]["e5-small-q4"]["synergy"]["mlqa-r"]["parallel-docs"]["-"]["multilingual"]
    mixed["hybrid-0.5"]["mAP"]["better parent"]["high"] = 0.02
    with pytest.raises(texts.UntrueTextError, match="hybrid is between its parents, which is no longer so: rewrite"):
        texts.answer(numbers)


def test_what_to_see_in_a_figure_is_said_of_figures_that_there_are_with_the_numbers_of_the_tables(numbers):
    found = texts.gallery(numbers)
    assert set(found) == set(gallery.ALL) - set(gallery.APPENDIX)
    far(numbers)["x-x-mono"]["value"] = -0.4321
    changed = texts.gallery(numbers)
    assert [name for name in found if found[name] != changed[name]] == ["shift"] and "−.432" in changed["shift"]


def test_the_gallery_is_not_written_once_alpha_is_no_dial(numbers):
    levels = numbers["encoders"]["e5-small-q4"]["levels"]["mlqa-r"]["parallel-docs"]
    levels["hybrid-0.75"]["multilingual"]["value"] = 0.9
    with pytest.raises(texts.UntrueTextError, match="multilingual mAP falls with alpha, which is no longer so"):
        texts.gallery(numbers)


def test_one_changed_training_changes_the_sentence(numbers, own_folders, monkeypatch):
    """From ranks to README: of the twenty trainings behind the first D, one puts right passages a fifth lower."""
    trainings = ["train=[xquad-r,parallel-docs]", "strategies=[x-x-mono,hybrid]", "alphas=[0.5]", "sweep=[]"]
    run = open_run("full", ["encoder=e5-small-q4", "eval=[mlqa-r]", *trainings], finished=True)
    cells.adopt_published(run)
    (cell,) = (c for c in cells.of(run) if (c.train, c.label, c.seed) == ("parallel-docs", "hybrid-0.5", 0))
    path = run.folder / "cells" / cell.id
    kept, record = records.beside(path, records.RANKS), cells.record(run, cell)
    lower = {name: column + column // 5 for name, column in pd.read_parquet(kept)[["rank", "pool_rank"]].items()}
    pd.read_parquet(kept).assign(**lower).to_parquet(kept, index=False)
    digest = artifacts.file_digest(kept)
    artifacts.write_sealed(records.beside(path, records.RECORD), record | {"sha256": digest})

    overlap = pd.read_csv(PUBLISHED / "overlap.csv", keep_default_na=False)  # of texts alone, a minute's work
    monkeypatch.setattr(judge, "_overlap", lambda run: overlap)
    judge.judge(run)
    found = texts.numbers(run)["encoders"]["e5-small-q4"]["shift"]["mlqa-r"]["far"]["multilingual"]
    before, after = far(numbers)["x-x-mono"], found["difference of costs"]["hybrid-0.5"]["x-x-mono"]
    assert before["value"] < after["value"] < 0
    old, new = texts.interval(before), texts.interval(after)
    assert old in texts.answer(numbers)
    far(numbers)["x-x-mono"] = after
    assert new in texts.answer(numbers) and old not in texts.answer(numbers)
