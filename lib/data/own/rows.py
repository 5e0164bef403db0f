"""Rows that people bring, as JSONL or as a table, read for what they mean: a text that is absent, one language under
two codes, one question with several right answers, one text in two Unicode forms.

What was joined or left out is said in one line, with counts and the first row; what could mean two things is refused.
"""

import math
import sys
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...base import paths, processes
from ...base import store as artifacts
from ...base.errors import UserError
from .. import jsonl
from .. import sets as parallel
from ..jsonl import canonical
from ..sets import ParallelSet, alike
from . import doubts, spreadsheet
from .spreadsheet import ABSENT

KEYS = ("id", "q", "p", "n", "title", "group", "split")
NAMES = ("id", "group", "split")  # which are compared, letter by letter
SIDES = {"q": "question", "p": "passage", "n": "passage", "title": "title"}
Remarks = defaultdict[str, list[int]]  # what was done to rows of a file, each time with the row


def read(path: Path) -> tuple[list[dict], str]:
    """Read a file of rows: parallel JSONL (see `jsonl`), or a table (see `spreadsheet`).

    Returns:
        The rows, of which absent values are left out, language codes are canonical, and texts that look alike are
        the same; and a line that says so, and what a table was read as; empty where nothing had to be done.

    Raises:
        UserError: naming the file, the row and the field, as `jsonl`; or a key or a language occurs twice in it, or
            a question is in two splits.
    """
    given, said = _given(path)
    remarks, first, rows, numbers = Remarks(list), {}, {}, []
    for placed in given:
        row, number = placed.content, placed.number
        try:
            row = _plain(row, number, remarks, first) if isinstance(row, dict) else row
            if problem := jsonl.problem(row, rows):
                raise UserError(problem)
        except UserError as error:
            raise UserError(f"{path}, {placed.told(str(error))}") from error
        rows[row["id"]] = row
        numbers.append(number)
    if not rows:
        raise UserError(f"{path}: holds no rows")
    found = list(rows.values())
    try:
        _join_groups(found, numbers, remarks)
        _note_equal_answers(found, numbers, remarks)
        _check_negatives(found, numbers)
    except UserError as error:
        raise UserError(f"{path}, {error}") from error
    done = [f"{len(where):,} {what} (first in row {where[0]})" for what, where in remarks.items()]
    return found, "; ".join(part for part in (said, *done, *doubts.of(found)) if part)


def _given(path: Path) -> tuple[Iterable[jsonl.Row], str]:
    """The rows of a file as they stand there, and what is said of a table."""
    if spreadsheet.is_one(path):
        return spreadsheet.read(path)
    lines = jsonl.read_lines(path, keys_once=True)
    return (jsonl.Row(number, row) for number, row in enumerate(lines, start=1)), ""


def read_set(path: Path, to_train: bool = False) -> ParallelSet:
    """The set that a file is now: of a notebook that stays open, rows may change between two calls."""
    return _set_of(path, artifacts.file_digest(path) if path.is_file() else "", to_train)


@cache
def _set_of(path: Path, content: str, to_train: bool) -> ParallelSet:
    make = training if to_train else evaluation
    return make(paths.called(path.name), _rows_of(path, content))


@cache
def _rows_of(path: Path, content: str) -> list[dict]:
    """Its rows; what they were taken to mean is said once."""
    rows, said = read(path)
    if said and processes.rank() == 0:
        print(f"{path}: {said}", file=sys.stderr)
    return rows


def training(name: str, rows: list[dict]) -> ParallelSet:
    """A set to train on: each row is a question, and says which others are asked in the same words."""
    made = parallel.from_rows(name, rows)
    words = made.queries["language"] + "\t" + made.queries["text"].map(alike)
    if not words.duplicated().any():
        return made
    return replace(made, asked=np.where(made.query_rows >= 0, pd.factorize(words)[0][made.query_rows], -1))


def evaluation(name: str, rows: list[dict]) -> ParallelSet:
    """A set to be scored on: rows with the same question are one, and whatever answers a question's words is right."""
    made = training(name, rows)
    if made.asked is None:
        return made
    column = made.queries["language"].map(made.languages.index)
    query = pd.DataFrame({"query": made.queries.index, "words": made.asked[made.queries["question"], column]})
    right = made.qrels.merge(query, on="query")[["words", "passage"]].drop_duplicates()
    qrels = query.merge(right, on="words")[["query", "passage"]].sort_values(["query", "passage"], ignore_index=True)
    return replace(made, qrels=qrels.astype(np.int32), asked=None).only(~_within_another(made.asked))


def _within_another(asked: np.ndarray) -> np.ndarray:
    """Which questions another one asks too, in all their languages and perhaps more; of equal ones, all but the first.

    Args:
        asked: int [questions, languages], equal where the words are, -1 where there are none.
    """
    _, first = np.unique(asked, axis=0, return_index=True)
    whole = {number: frozenset(asked[number][asked[number] >= 0].tolist()) for number in first.tolist()}
    having: dict[int, list[int]] = {}
    for number, codes in whole.items():
        for code in codes:
            having.setdefault(code, []).append(number)
    found = np.ones(len(asked), bool)
    for number, codes in whole.items():
        beside = min((having[code] for code in codes), key=len)  # whoever asks all of it asks the rarest of it
        found[number] = any(codes < whole[other] for other in beside)
    return found


def _plain(row: dict, number: int, remarks: Remarks, first: dict[tuple[str, str, str], str]) -> dict:
    """A row without absent values, with canonical codes and with the first spelling of each text; checked later."""
    for key in row.keys() - set(KEYS):
        remarks[f"keys '{key}' that nobody reads"].append(number)
    kept = {key: value for key, value in row.items() if key in ("id", "q", "p") or not _is_absent(value)}
    kept |= {key: alike(kept[key]) for key in NAMES if isinstance(kept.get(key), str)}
    for key in [key for key in SIDES if isinstance(kept.get(key), dict)]:
        kept[key] = _texts(key, kept[key], number, remarks, first)
        if not kept[key] and row[key] and key in ("q", "p"):
            raise UserError(f"field '{key}' has a text that is not empty in no language; leave the row out")
        if not kept[key]:
            del kept[key]
    return kept


def _texts(key: str, given: dict, number: int, remarks: Remarks, first: dict[tuple[str, str, str], str]) -> dict:
    made: dict[str, Any] = {}
    for code, text in given.items():
        if _is_absent(text):
            remarks["absent texts left out"].append(number)
            continue
        language = canonical(code)
        if language != code:
            remarks[f"language codes '{code}' read as {language}"].append(number)
        if isinstance(text, str):
            text = first.setdefault((SIDES[key], language, alike(text)), text)
            if text != given[code]:
                what = "texts that differ from an earlier one in blanks or Unicode form alone, read as that one"
                remarks[what].append(number)
        if made.setdefault(language, text) != text:
            raise UserError(f"field '{key}' has two texts in the language {language}, one of them under '{code}'")
    return made


def _is_absent(value: object) -> bool:
    """Whether a value stands for none: null, NaN, or a text that writers put in its place."""
    if isinstance(value, str):
        return alike(value) in ABSENT
    return value is None or (isinstance(value, float) and math.isnan(value))


def _join_groups(rows: list[dict], numbers: list[int], remarks: Remarks) -> None:
    """Give rows that share a question in some language one group and one split: a split must not divide them.

    So their groups are one, with all that is in these; it is called as that of the first row.

    Raises:
        UserError: rows that share a question name different splits; begins with the row.
    """
    asked = [_asked(row) for row in rows]
    _join_splits(rows, asked, numbers)
    groups = [parallel.group_of(row) for row in rows]
    first = _connected([*pairs, group] for pairs, group in zip(asked, groups, strict=True))
    _follow_groups(rows, first, numbers, remarks)
    known: set[tuple] = set()
    for n, (row, number, pairs) in enumerate(zip(rows, numbers, asked, strict=True)):
        if pairs in known:
            remarks["rows that ask what an earlier one asks: one question with several right answers"].append(number)
        elif not known.isdisjoint(pairs):
            remarks["rows that ask in some languages what an earlier one asks: all in one split"].append(number)
        if groups[n] != (group := groups[first[n]]):
            if row.get("group") or known.isdisjoint(pairs):
                remarks["rows whose group is joined to an earlier one, since both ask the same"].append(number)
            row["group"] = group
        known.update((pairs, *pairs))


def _join_splits(rows: list[dict], asked: list[tuple], numbers: list[int]) -> None:
    """Give rows that share a question the split that one of them names."""
    named: dict[int, int] = {}
    first = _connected(asked)
    for n, row in enumerate(rows):
        other = named.setdefault(first[n], n) if row.get("split") else n
        if row.get("split") != rows[other].get("split"):
            what = f"it is {row['split']}, but {rows[other]['split']} in row {numbers[other]}, which asks the same"
            raise UserError(f"row {numbers[n]}: field 'split': {what}; a question is in one split")
    for n, row in enumerate(rows):
        if first[n] in named:
            row["split"] = rows[named[first[n]]]["split"]


def _follow_groups(rows: list[dict], joined: list[int], numbers: list[int], remarks: Remarks) -> None:
    """Give rows without a split that of their group, joined as they are, if its other rows name one."""
    named: dict[int, set[str]] = {}
    for row, group in zip(rows, joined, strict=True):
        named.setdefault(group, set()).update(filter(None, [row.get("split")]))
    for row, group, number in zip(rows, joined, numbers, strict=True):
        if not row.get("split") and len(named[group]) == 1:
            row["split"] = next(iter(named[group]))
            remarks["rows that take the split of their group"].append(number)


def _connected(keys: Iterable[Iterable[Hashable]]) -> list[int]:
    """For each row the first that it is connected with: rows that have a key in common are, and theirs in turn."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    listed, node = [list(of_row) for of_row in keys], {}
    edges = [(n, node.setdefault(key, len(listed) + len(node))) for n, of_row in enumerate(listed) for key in of_row]
    graph = coo_array((np.ones(len(edges)), np.array(edges, int).reshape(-1, 2).T), (len(listed) + len(node),) * 2)
    _, first, part = np.unique(connected_components(graph)[1][: len(listed)], return_index=True, return_inverse=True)
    return first[part].tolist()


def _check_negatives(rows: list[dict], numbers: list[int]) -> None:
    """Refuse an explicit negative that answers the question, as another row says; begins with the row."""
    right: dict[tuple[str, str], set] = {}
    for row in rows:
        for words in _asked(row):
            right.setdefault(words, set()).update(row["p"].items())
    for row, number in zip(rows, numbers, strict=True):
        if any(not right[words].isdisjoint(row.get("n", {}).items()) for words in _asked(row)):
            raise UserError(f"row {number}: field 'n': it is a text that answers the same question in another row")


def _asked(row: dict) -> tuple[tuple[str, str], ...]:
    """What a row asks, in all its languages."""
    return tuple(sorted((x, alike(parallel.query_text(row, x))) for x in row["q"]))


def _note_equal_answers(rows: list[dict], numbers: list[int], remarks: Remarks) -> None:
    """Note passages that are equal: within a language they are one candidate, across languages they tie."""
    known: set[tuple[str, str]] = set()
    for row, number in zip(rows, numbers, strict=True):
        if not known.isdisjoint(row["p"].items()):
            remarks["rows with an answer that an earlier row has too: one passage, right for both"].append(number)
        if len(row["p"]) > 1 and len(set(row["p"].values())) == 1:
            tied = "rows with one answer in all languages: such passages tie, and the last by docid leads"
            remarks[tied].append(number)
        known.update(row["p"].items())
