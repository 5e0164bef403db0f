"""What published cells were made from never changes by itself: their names, their inputs, the digests of the data.

A cell is found again by its name and by the inputs that its record holds; if today's code works out others, a fresh
clone trains for hours what comes with it. Texts of data sets stand in the inputs as digests, which are frozen here, so
that all but one of these tests need no benchmark files.
"""

from collections import Counter
from dataclasses import replace

import pytest

from lib.base import config, device, paths
from lib.base import store as artifacts
from lib.data import catalog as data
from lib.data import download, facts
from lib.runs import cells
from lib.runs import plan as grid

EVALUATED = {
    "xquad-r": "4619584922f10f6f", "mlqa-r": "91e4fae57a3d9a99",
    "xquad-r-heldout": "dd64c14a00573119", "mlqa-r-heldout": "3071b17a4f01ee5f",
    "parallel-docs-heldout": "9571a36cc9dd7f52", "miracl-mini": "1571f16b1ac91fad",
    "facts": "83308e54ea69798c", "facts-heldout": "b21d1c4ca4eef629", "facts-new": "0fe7455b71b0724c",
}  # fmt: skip
TRAINED = {
    "xquad-r": "85cd10afdbbf6ac2", "mlqa-r": "6b18979387798efa",
    "parallel-docs": "91228b6fd8f73c79", "facts": "3195e2bc45b78260",
    "parallel-docs-900-questions": "1bba1a564b7ba5c8", "xquad-r-7-languages": "bb5ccdb40c6a41e1",
}  # fmt: skip
FOLDS = {  # of each set: what is scored, and what is trained on, in each fold
    "mlqa-r": ("2aef84401a1d6e09 3656fee630c708ad e61bc50ae21e1799 e45b6538041560f2 f1cdcc3bf9a3f571",
               "93c532a6757f187e 16a73662d77baf17 fdbaee0f5779bf9c e0f792dcfe13abf0 afe7b7559c53eed4"),
    "xquad-r": ("597c314b6fe5ed9f 229d4493f1631b7b be0fed95638b6867 d9a58bd8b2721255 6ddad15748e7eab6",
                "15cdc7ee5cee1115 7045be4f06bcb7e9 2457779696d9981b 07d92ec5d887bf44 dcc50a8adc843014"),
}  # fmt: skip
for base, (scored, trained) in FOLDS.items():
    EVALUATED |= {f"{base}-fold{number}": digest for number, digest in enumerate(scored.split())}
    TRAINED |= {f"{base}-without-fold{number}": digest for number, digest in enumerate(trained.split())}
FACTS = ("facts", "facts-heldout", "facts-new")
ROWS = "034a8b1a685de128"
FILES = "f925560babfad30c"
MODELS = "1a440ab522b8989c"
RECORDS = sorted(paths.ROOT.glob(f"results/*/published/cells/*{cells.RECORD}"))


@pytest.fixture
def frozen(monkeypatch):
    """The digests of data sets as they are written down here, so that no benchmark file is read."""
    monkeypatch.setattr(data, "evaluation_digest", lambda name, *_: EVALUATED[name])
    monkeypatch.setattr(data, "training_digest", lambda name, *_: TRAINED[name])
    return config.load("full").config


def test_every_published_cell_is_planned_by_its_name_and_made_from_the_same_inputs(frozen):
    every = replace(frozen, encoder=("e5-small-q4", "use-m", "static"))  # of which some are still being made
    published = {path.name.removesuffix(cells.RECORD): artifacts.read_sealed(path)["inputs"] for path in RECORDS}
    planned = {cell.id: cells.inputs(cell, every) for cell in (*grid.plan(every), *grid.parts(every))
               if cell.id in published}  # fmt: skip
    assert published == planned
    assert {cell.id for cell in grid.plan(frozen)} <= set(published)


def test_every_published_cell_has_its_table_of_ranks_as_its_record_says():
    for path in RECORDS:
        ranks = path.with_name(path.name.removesuffix(cells.RECORD) + cells.RANKS)
        assert artifacts.file_digest(ranks) == artifacts.read_sealed(path)["sha256"], path.name


def test_a_trained_model_keeps_its_place_in_the_store(frozen, monkeypatch):
    monkeypatch.setattr(data, "training_set", lambda *_: None)
    monkeypatch.setattr(device, "precision", lambda _: "bfloat16")
    run = config.load("full")
    first = replace(frozen, encoder=frozen.encoder[:1])
    recipes = [cells._recipe(run, cell)[0].inputs() for cell in grid.trainings(grid.plan(first))]
    assert artifacts.digest(recipes)[:16] == MODELS
    places = [artifacts.place("models", recipe).name for recipe in recipes]
    assert max(Counter(places).values()) == 1


def test_the_facts_corpus_has_its_digests():
    assert artifacts.digest(facts.rows())[:16] == ROWS
    assert {name: data.evaluation_set(name).digest for name in FACTS} == {name: EVALUATED[name] for name in FACTS}
    assert data.training_set("facts", FACTS).digest == TRAINED["facts"]


def test_the_registry_lists_the_files_that_the_digests_were_worked_out_from():
    files = {path: [file.bytes, file.sha256] for path, file in download.registry().items()}
    assert artifacts.digest(files)[:16] == FILES


@pytest.mark.real_data
@pytest.mark.slow
def test_the_data_sets_have_their_digests(real_data):
    here = [name for name in EVALUATED if name in FACTS or download.status(data.base(name)) == "mirror"]
    assert {name: data.evaluation_digest(name) for name in here} == {name: EVALUATED[name] for name in here}
    tested = config.load("full").config.eval
    trained = [name for name in TRAINED if data.base(name) in here or f"{name}-heldout" in here]
    found = {name: data.training_digest(name, tested) for name in trained}
    assert found == {name: TRAINED[name] for name in trained}
