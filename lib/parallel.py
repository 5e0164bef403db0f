"""Parallel retrieval data: queries, passages and qrels in several languages, in one shape for all sources.

The exchange format is parallel JSONL, one question a row: ``{"id", "q": {lang: text}, "p": {lang: text}}``.
"""

import gzip
import hashlib
import json
import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib.errors import UserError

SPLITS = {"train": range(0, 80), "dev": range(80, 90), "test": range(90, 100)}
# The 11 languages of XQuAD-R, in the order that every table and figure uses.
LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Za-z0-9]{2,8})*")
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of pairs that have no UTF-8
LONGEST = 1_000_000  # characters of a text; an encoder sees the first 500 words


@dataclass(frozen=True)
class ParallelSet:
    """Questions in several languages, pools of passages, and which passage answers which question.

    Attributes:
        name: as in the column ``dataset`` of every table.
        pool: name of the pool that the questions are scored against.
        questions: ``id, group, split``; one row a question, its translations being one. A group (article,
            page, territory) is never divided between splits.
        queries: ``question, language, text``; a row is a question in one language.
        passages: ``docid, language, text``, sorted by docid, so that each language is contiguous.
        qrels: ``query, passage``, row numbers of the two tables above, one row a relevant pair.
        negatives: int32 [questions, languages], row in ``passages`` of a text that does not answer the question,
            -1 where there is none; None for a set without such texts. Only training looks at them.
    """

    name: str
    pool: str
    questions: pd.DataFrame
    queries: pd.DataFrame
    passages: pd.DataFrame
    qrels: pd.DataFrame
    negatives: np.ndarray | None = None

    @cached_property
    def languages(self) -> list[str]:
        """All languages of the set, of queries or passages, in the order of tables and figures."""
        present = {*self.passages["language"].unique(), *self.queries["language"].unique()}
        return [x for x in LANGUAGES if x in present] + sorted(present - set(LANGUAGES))

    @cached_property
    def query_rows(self) -> np.ndarray:
        """int32 [questions, languages]: row of the question's text in ``queries``, -1 where there is none."""
        rows = np.full((len(self.questions), len(self.languages)), -1, np.int32)
        column = self.queries["language"].map(self.languages.index).to_numpy()
        rows[self.queries["question"].to_numpy(), column] = np.arange(len(self.queries))
        return rows

    @cached_property
    def passage_rows(self) -> np.ndarray:
        """int32 [questions, languages]: row in ``passages`` that answers the question, -1 where none does.

        Where several passages of a language are relevant (never in XQuAD-R or MLQA-R), the first is meant.
        """
        rows = np.full((len(self.questions), len(self.languages)), -1, np.int32)
        relevant = self.qrels.iloc[::-1]
        question = self.queries["question"].to_numpy()[relevant["query"]]
        language = self.passages["language"].map(self.languages.index).to_numpy()[relevant["passage"]]
        rows[question, language] = relevant["passage"]
        return rows

    @cached_property
    def digest(self) -> str:
        """16 hex digits that identify the content: texts, labels, ids and splits."""
        hashed = hashlib.sha256(f"{self.name} {self.pool}".encode())
        for table in (self.questions, self.queries, self.passages, self.qrels):
            hashed.update(table.to_csv(index=False, lineterminator="\n").encode())
        if self.negatives is not None:
            hashed.update(self.negatives.tobytes())
        return hashed.hexdigest()[:16]

    @cached_property
    def heldout(self) -> "ParallelSet":
        """The questions for in-domain tests, against the unchanged pool; kept, so that its digest is found once."""
        return self.only((self.questions["split"] == "test").to_numpy(), f"{self.name}-heldout")

    def only(self, keep: np.ndarray, name: str | None = None) -> "ParallelSet":
        """The questions where ``keep`` (bool [questions]) is true, against the unchanged pool."""
        number = np.cumsum(keep) - 1
        chosen = keep[self.queries["question"].to_numpy()]
        query_number = np.cumsum(chosen) - 1
        queries = self.queries[chosen].assign(question=lambda t: number[t["question"]])
        qrels = self.qrels[chosen[self.qrels["query"]]].assign(query=lambda t: query_number[t["query"]])
        return replace(
            self,
            name=name or self.name,
            questions=self.questions[keep].reset_index(drop=True),
            queries=queries.reset_index(drop=True),
            qrels=qrels.reset_index(drop=True),
            negatives=None if self.negatives is None else self.negatives[keep],
        )

    def repeats(self, other: "ParallelSet") -> np.ndarray:
        """bool [questions]: which share a text, or an answer's, with another set in a language, once `folded`."""
        asked = _texts(self.queries).isin(_texts(other.queries))
        answers, theirs = (_texts(s.passages.loc[s.qrels["passage"].unique()]) for s in (self, other))
        answered = self.qrels["passage"].isin(answers.index[answers.isin(theirs)])
        found = np.zeros(len(self.questions), bool)
        found[self.queries["question"][asked]] = True
        found[self.queries["question"][self.qrels["query"][answered]]] = True
        return found


def folded(text: str) -> str:
    """A text as it is compared with others: Unicode NFKC, small letters, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _texts(table: pd.DataFrame) -> pd.Series:
    return table["language"] + " " + table["text"].map(folded)


def split_of(group: str) -> str:
    """``train`` (80%), ``dev`` (10%) or ``test`` (10%), by a fixed hash of the group's name."""
    bucket = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % 100
    return next(split for split, buckets in SPLITS.items() if bucket in buckets)


def assemble(
    name: str,
    questions: pd.DataFrame,
    queries: list[tuple[int, str, str]],
    passages: list[tuple[str, str, str]],
    answers: list[tuple[int, int]],
    pool: str | None = None,
) -> ParallelSet:
    """Put a set together from rows; a passage that answers a question answers it in each query language.

    Args:
        name: of the set, and of its pool unless ``pool`` is given.
        questions: ``id, group, split``.
        queries: (question, language, text).
        passages: (docid, language, text), sorted by docid.
        answers: (question, passage), row numbers.
    """
    query_table = pd.DataFrame(queries, columns=["question", "language", "text"])
    passage_table = pd.DataFrame(passages, columns=["docid", "language", "text"])
    pairs = query_table["question"].rename_axis("query").reset_index()
    pairs = pairs.merge(pd.DataFrame(answers, columns=["question", "passage"]), on="question")
    qrels = pairs[["query", "passage"]].drop_duplicates().sort_values(["query", "passage"], ignore_index=True)
    return ParallelSet(name, pool or name, questions, query_table, passage_table, qrels.astype(np.int32))


def from_rows(name: str, rows: list[dict]) -> ParallelSet:
    """A set from parallel JSONL rows; equal passages of a language are one candidate."""
    passages, first = [], {}
    for language in sorted({x for row in rows for x in row["p"]}):
        texts = dict.fromkeys(row[s][language] for s in "pn" for row in rows if language in row.get(s, {}))
        for number, text in enumerate(texts):
            first[language, text] = len(passages)
            passages.append((f"{language}-{number:06d}", language, text))
    queries, answers = [], []
    for number, row in enumerate(rows):
        answers += [(number, first[item]) for item in sorted(row["p"].items())]
        for language, text in sorted(row["q"].items()):
            title = row.get("title", {}).get(language)
            queries.append((number, language, f"{title}: {text}" if title else text))
    groups = [group_of(row) for row in rows]
    splits = [row.get("split") or split_of(group) for row, group in zip(rows, groups, strict=True)]
    questions = pd.DataFrame({"id": [row["id"] for row in rows], "group": groups, "split": splits})
    made = assemble(name, questions, queries, passages, answers)
    if "n" not in rows[0]:
        return made
    negatives = [[first.get((x, row["n"].get(x)), -1) for x in made.languages] for row in rows]
    return replace(made, negatives=np.array(negatives, np.int32))


def group_of(row: dict) -> str:
    """What a row must not be separated from when splits are made: its ``group``, else its page."""
    return row.get("group") or row["id"].split("#")[0]


def read_rows(path: Path) -> list[dict]:
    """Read parallel JSONL, plain or gzipped.

    Optional keys of a row: ``n`` ({lang: text}, in the languages of ``p``: passages that do not answer the question;
    in all rows or in none), ``title`` ({lang: text}, put before the query), ``group`` (rows of one group stay in
    one split; without it, the part of the id before ``#``) and ``split`` (train, dev or test).

    Raises:
        UserError: naming the file, the line and the field.
    """
    rows: dict[str, dict] = {}
    for number, row in enumerate(read_lines(path), start=1):
        if problem := _problem(row, rows):
            raise UserError(f"{path}, row {number}: {problem}")
        rows[row["id"]] = row
    if not rows:
        raise UserError(f"{path}: holds no rows")
    return list(rows.values())


def read_lines(path: Path) -> Iterator[dict]:
    """JSON objects of a JSONL file, plain or gzipped; damage is reported with file and line."""
    opened = gzip.open if path.name.endswith(".gz") else open
    number = 0  # the last line that could be read
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:  # which is UTF-8, with or without its mark
            for number, line in enumerate(file, start=1):  # noqa: B007 - the handlers below read it
                if line.strip():
                    yield json.loads(line)
    except FileNotFoundError as error:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"{path}: no such file{where}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read beyond line {number} ({error}); save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None):  # the system's word: a folder, or not allowed
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        raise UserError(f"{path}: cannot be read beyond line {number} ({error}); is it truncated?") from error
    except (ValueError, RecursionError) as error:  # ValueError alone for a number of too many digits
        reason = getattr(error, "msg", error)
        raise UserError(f"{path}, line {number}: not a JSON object ({reason}); one object a line is right") from error


def _problem(row: object, seen: dict[str, dict]) -> str | None:
    if not isinstance(row, dict):
        return 'not an object; right is {"id": "1", "q": {"en": "..."}, "p": {"en": "..."}}'
    if not isinstance(row.get("id"), str) or not row["id"]:
        return "field 'id' must be a text that is not empty"
    if problem := _text_problem(row["id"]):
        return f"field 'id': {problem}"
    if row["id"] in seen:
        return f"field 'id': '{row['id']}' occurs twice; ids must differ"
    for field in ("q", "p", "n") if "n" in row else ("q", "p"):
        if not row.get(field):
            return _not_texts(field)
        if problem := _texts_problem(field, row[field]):
            return problem
    if problem := _negative_problem(row, seen):
        return problem
    if problem := _texts_problem("title", row.get("title", {})):
        return problem
    if not isinstance(row.get("group", ""), str) or _text_problem(row.get("group", "")):
        return "field 'group' must be a text"
    if row.get("split", "train") not in list(SPLITS):
        return f"field 'split': must be one of {', '.join(SPLITS)}"
    return None


def _texts_problem(field: str, texts: object) -> str | None:
    if not isinstance(texts, dict):
        return _not_texts(field)
    for language, text in texts.items():
        where = f"field '{field}', language '{language}'"
        if not _is_language(language):
            return f"{where}: not a language code; right is ISO 639 in small letters, such as en, zh or pt-BR"
        if not isinstance(text, str) or not text.strip():
            return f"{where}: must be a text that is not empty"
        if problem := _text_problem(text):
            return f"{where}: {problem}"
    return None


def _not_texts(field: str) -> str:
    return f'field \'{field}\' must map language codes to texts, such as {{"en": "..."}}'


def _text_problem(text: str) -> str | None:
    if len(text) > LONGEST:
        return f"has {len(text):,} characters, at most {LONGEST:,} are right; is it a whole file?"
    if found := NO_TEXT.search(text):
        return f"holds the character U+{ord(found[0]):04X}, which is no text; is it another encoding?"
    return None


@cache
def _is_language(code: str) -> bool:
    """Whether a code is well formed, and, of two letters, stands for a language; three have thousands."""
    from babel import Locale

    found = LANGUAGE.fullmatch(code)
    return bool(found) and (len(found[1]) == 3 or found[1] in Locale("en").languages)


def _negative_problem(row: dict, seen: dict[str, dict]) -> str | None:
    if seen and ("n" in row) != ("n" in next(iter(seen.values()))):
        return "field 'n': it must be in all rows or in none"
    if "n" in row and row["n"].keys() != row["p"].keys():
        return "field 'n': its languages must be those of 'p'"
    same = [language for language in row.get("n", {}) if row["n"][language] == row["p"][language]]
    return f"field 'n', language '{same[0]}': it is the text that answers the question" if same else None
