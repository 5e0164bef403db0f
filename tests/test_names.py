"""How keys of tables are spelled for people, and which row of the catalogue a name belongs to."""

import pytest

from lib.data import catalog
from lib.runs import names


@pytest.mark.parametrize(
    ("key", "shown", "base"),
    [
        ("xquad-r", "XQuAD-R", "xquad-r"),
        ("mlqa-r-heldout", "MLQA-R (held-out)", "mlqa-r"),
        ("facts-new", "the facts corpus (new relations)", "facts"),
        ("parallel-docs-heldout", "parallel-docs (held-out)", "parallel-docs"),
        ("mlqa-r-fold3", "MLQA-R (fold3)", "mlqa-r"),
        ("xquad-r-without-fold0", "XQuAD-R (without fold0)", "xquad-r"),
        ("miracl-dev", "MIRACL", "miracl-dev"),
        ("data/my.questions.jsonl.gz", "my.questions", "data/my.questions.jsonl.gz"),
    ],
)
def test_a_data_set_is_spelled_by_its_row_and_its_part(key, shown, base):
    assert (names.name(key), catalog.base(key)) == (shown, base)


@pytest.mark.parametrize(
    ("key", "shown"),
    [("none", "no fine-tuning"), ("x-x-mono", "x-x-mono"), ("labse", "LaBSE"), ("models/my-encoder", "my-encoder")],
)
def test_strategies_and_encoders_are_spelled_too(key, shown):
    assert names.name(key) == shown


def test_names_of_strategies_are_never_capitalised():
    assert [names.capital(text) for text in ("x-y is", "hybrid is", "mAP of")] == ["x-y is", "Hybrid is", "mAP of"]


def test_every_name_that_can_be_scored_belongs_to_one_row():
    rows = [key for key, row in catalog.SETS.items() for name in catalog.EVALUATED if name in row.scored]
    assert len(rows) == len(catalog.EVALUATED) == len(set(catalog.EVALUATED))
    scored = {key for key, row in catalog.SETS.items() if row.scored}
    assert {catalog.base(name) for name in catalog.EVALUATED} == scored
