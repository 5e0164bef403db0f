"""Columns of a data set of one's own: as people have them, and as `training.pairs` takes them."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import UserError
from ..data import jsonl
from ..data.sets import alike

LOOKED_AT = 20_000  # rows of a data set, by which it is known


def as_arrays(given: dict[str, Sequence[str]]) -> list[np.ndarray]:
    """Columns of any kind (lists, arrays, series with whatever index, categories) as arrays of objects.

    Raises:
        UserError: they differ in length, a value is missing, or a language has two spellings.
    """
    found = {name: np.fromiter(column, object) for name, column in given.items()}
    if len({len(column) for column in found.values()}) > 1 or not len(found["passages"]):
        raise UserError(f"{', '.join(list(given)[:-1])} and {list(given)[-1]} must have one value a row each")
    for name, column in found.items():
        right = pd.notna(column) if name == "questions" else np.array([isinstance(value, str) for value in column])
        if not right.all():
            row = int(right.argmin())
            raise UserError(f"row {row + 1}: {name} has no text ({column[row]!r}); leave such rows out")
    try:
        set(found["questions"])
    except TypeError as error:
        row = next(n for n, value in enumerate(found["questions"]) if not isinstance(value, Hashable))
        said = f"questions holds {found['questions'][row]!r}; an id is a text or a number"
        raise UserError(f"row {row + 1}: {said}") from error
    if len({isinstance(value, str) for value in found["questions"]}) > 1:
        row = next(n for n, value in enumerate(found["questions"]) if isinstance(value, str))
        raise UserError(f"row {row + 1}: questions are texts here ({found['questions'][row]!r}) and numbers elsewhere; "
                        "ids of both kinds never match: write them in one way")  # fmt: skip
    for name in ("questions", "query_languages", "passage_languages"):  # a blank more makes no other id, or language
        found[name] = np.fromiter((alike(v) if isinstance(v, str) else v for v in found[name]), object)
    jsonl.check_spelling({*found["query_languages"], *found["passage_languages"]})
    return list(found.values())


def unknown(dataset: Any, texts: Sequence[np.ndarray]) -> list[str] | None:
    """The columns of text after the first two, which the loss takes for negatives, that have none of these texts.

    Args:
        texts: hashes of the texts of a data set's rows, uint64 [rows] each.

    Returns:
        None if one of the texts is in no column, as far as looked at: then it is another data set.
    """
    rows = np.unique(np.linspace(0, len(dataset) - 1, LOOKED_AT).astype(int))
    shown = dataset[rows.tolist()].items()
    found = {name: pd.util.hash_array(np.array(c, object)) for name, c in shown if isinstance(c[0], str)}
    known = [text[rows] for text in texts]
    if not all(any((column == text).all() for column in found.values()) for text in known):
        return None
    return [name for name, column in [*found.items()][2:] if not any((column == text).all() for text in known)]
