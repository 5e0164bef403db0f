"""Trainings of which only scores are kept; in cross-fitting, of the model that did not see a question's article."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base import config
from lib.data import catalog as data
from lib.evidence import tables
from lib.evidence.effects import Key
from lib.evidence.questions import parts
from lib.runs import cells
from lib.runs import plan as grid
from lib.runs.plan import CENTRED

SWEEP = ("[{encoder: use-m, train: ['mlqa-r-without-fold{fold}'], test: 'mlqa-r-fold{fold}', strategies: [x-y], "
         "seeds: [0, 1]}]")  # fmt: skip
LANGUAGES = ("de", "en")


@pytest.fixture
def run(own_folders, monkeypatch):
    """A run whose cells of cross-fitting are all there: a question scores its number in the whole set, and the seed."""
    made = config.load("full", ["encoder=[use-m]", f"sweep={SWEEP}"])
    whole = pd.Index(data.outline("mlqa-r").questions["id"])

    def kept(run, cell):
        numbers = whole.get_indexer(data.outline(cell.on).questions["id"])
        rows = [(n, x, number + 0.1 * cell.seed) for (n, number), x in product(enumerate(numbers), LANGUAGES)]
        table = pd.DataFrame(rows, columns=["question", "query_language", "multilingual"])
        table["query_language"] = pd.Categorical(table["query_language"], LANGUAGES[::-1])  # as a file has them
        return table.assign(monolingual=table["multilingual"], rank_distance=7.0)

    monkeypatch.setattr(cells, "parts_of", lambda run: grid.parts(run.config))
    monkeypatch.setattr(cells, "scores", kept)
    return made


def test_folds_are_joined_to_scores_at_home(run):
    found = parts.scores(run)
    assert {(key.train, key.dataset, key.label) for key in found} == {("mlqa-r", "mlqa-r", "x-y")}
    assert {(key.metric, key.setting) for key in found} == set(parts.KEPT)
    part = found[Key("use-m", "mlqa-r", "x-y", "mlqa-r", "multilingual", "map")]
    size = len(data.outline("mlqa-r").questions)
    assert part.seeds == (0, 1) and part.units == (("de", "all"), ("en", "all"))
    np.testing.assert_allclose(part.values[:, :, 0], np.arange(size)[:, None].repeat(2, axis=1))
    np.testing.assert_allclose(part.values[:, :, 1] - part.values[:, :, 0], 0.1)
    alone = found[Key("use-m", "mlqa-r", "x-y", "mlqa-r", "monolingual", "map")]
    assert alone.units == (("de", "de"), ("en", "en"))


def test_of_seeds_that_lack_a_fold_nothing_is_said(run, monkeypatch):
    every = grid.parts(run.config)
    lacking = [cell for cell in every if not (cell.seed == 1 and cell.on == "mlqa-r-fold3")]
    monkeypatch.setattr(cells, "parts_of", lambda run: lacking)
    assert {part.seeds for part in parts.scores(run).values()} == {(0,)}
    monkeypatch.setattr(cells, "parts_of", lambda run: [cell for cell in every if cell.on != "mlqa-r-fold3"])
    assert parts.scores(run) == {}


def test_folds_that_overlap_are_refused(run, monkeypatch):
    whole = data.outline("mlqa-r")
    monkeypatch.setattr(data, "outline", lambda name, candidates="sentence": whole)
    with pytest.raises(ValueError, match="folds of mlqa-r overlap: a question was scored by two of them"):
        parts.scores(run)


def test_trainings_of_which_only_scores_are_kept_stand_beside_those_of_the_grid(run, monkeypatch):
    kept = [grid.Cell("use-m", "xquad-r", "x-x", None, seed, "mlqa-r") for seed in (0, 2)]
    monkeypatch.setattr(cells, "parts_of", lambda run: kept)
    found = parts.scores(run)
    assert {(key.train, key.dataset, key.label) for key in found} == {("xquad-r", "mlqa-r", "x-x")}
    part = found[Key("use-m", "xquad-r", "x-x", "mlqa-r", "multilingual", "map")]
    assert part.seeds == (0, 2) and part.articles.shape == (len(part.values),)
    np.testing.assert_allclose(part.values[:, 0, 1] - part.values[:, 0, 0], 0.2)


@pytest.mark.parametrize("changed", [{"changes": ("scale=50",)}, {"train": "xquad-r-7-languages"}])
def test_other_choices_are_no_scores_of_the_profile(run, monkeypatch, changed):
    cell = grid.replace(grid.Cell("use-m", "xquad-r", "x-y", None, 0, "mlqa-r"), **changed)
    monkeypatch.setattr(cells, "parts_of", lambda run: [cell])
    assert parts.scores(run) == {}


@pytest.mark.parametrize("changes", [(), (CENTRED,)])
def test_trainings_of_the_profile_are_no_other_choice(run, monkeypatch, changes):
    made = grid.Cell("use-m", "xquad-r", "x-y", None, 0, "mlqa-r")
    other = grid.replace(made, changes=("scale=50",))
    monkeypatch.setattr(cells, "parts_of", lambda run: [grid.replace(made, changes=changes), other])
    assert [cell for cell, _, _ in parts.on(run, "mlqa-r", ["multilingual"])] == [other]


def test_a_model_that_saw_the_article_is_no_score_at_home(run, monkeypatch):
    seen = [cell for cell in grid.parts(run.config) if cell.train.endswith("fold0")]
    monkeypatch.setattr(cells, "parts_of", lambda run: [grid.replace(cell, on="mlqa-r-fold1") for cell in seen])
    assert parts.scores(run) == {}


def test_the_means_of_trainings_kept_as_scores_stand_in_the_table_as_those_of_the_grid(finished, own_folders):
    run = synthetic.copied(finished, own_folders)
    (encoder,), (train,), (test,) = run.config.encoder, run.config.train, run.config.eval
    entry = f"{{encoder: {encoder}, train: [{train}], test: {test}, strategies: [hybrid]}}"
    changed = [text for text in run.overrides if not text.startswith("strategies=")]
    other = config.load("smoke", [*changed, "strategies=[none]", f"sweep=[{entry}]"])
    for cell in (*grid.plan(other.config), *grid.parts(other.config)):
        cells.finish(other, cell)
    for one in (run, other):
        tables.write(one)
    for name in ("metrics.csv", "top10_languages.csv.bz2"):
        whole, kept = tables.read(run, name), tables.read(other, name)
        pd.testing.assert_frame_equal(kept, whole, atol=1e-6, rtol=0)
