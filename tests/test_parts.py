"""Cross-fitting: each question has the score of the model that did not train on its article, and of no other."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lib.base import config
from lib.data import catalog as data
from lib.evidence import parts
from lib.evidence.effects import Key
from lib.runs import cells
from lib.runs import plan as grid

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
    found = parts.at_home(run)
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
    assert {part.seeds for part in parts.at_home(run).values()} == {(0,)}
    monkeypatch.setattr(cells, "parts_of", lambda run: [cell for cell in every if cell.on != "mlqa-r-fold3"])
    assert parts.at_home(run) == {}


def test_folds_that_overlap_are_refused(run, monkeypatch):
    whole = data.outline("mlqa-r")
    monkeypatch.setattr(data, "outline", lambda name, candidates="sentence": whole)
    with pytest.raises(ValueError, match="folds of mlqa-r overlap: a question was scored by two of them"):
        parts.at_home(run)


def test_a_model_that_saw_the_article_is_no_score_at_home(run, monkeypatch):
    seen = [cell for cell in grid.parts(run.config) if cell.train.endswith("fold0")]
    monkeypatch.setattr(cells, "parts_of", lambda run: [grid.replace(cell, on="mlqa-r-fold1") for cell in seen])
    assert parts.at_home(run) == {}
