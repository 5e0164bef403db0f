"""Parallel retrieval data: queries, passages and qrels in several languages, in one shape for all sources."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

FOLDS = 5  # for cross-fitting: each question is scored by the model that was not trained on its article
# What cannot be seen: byte order mark, zero width space, marks of direction, soft hyphen, word joiner and its kind, the
# choice of a coloured sign; not the joiners U+200C and U+200D, by which words and signs differ.
DIRECTION = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
UNSEEN = dict.fromkeys([0xFEFF, 0x200B, *DIRECTION, 0x00AD, *range(0x2060, 0x2065), 0xFE0F])
PAGE = re.compile(r"#*[^#]*", re.DOTALL)
SPLITS = {"train": range(0, 80), "dev": range(80, 90), "test": range(90, 100)}
# The 11 languages of XQuAD-R, in the order that every table and figure uses.
LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


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
        asked: int64 [questions, languages], equal where two questions are asked in the same words, -1 where there are
            none; None where no two are, or where that does not count. Only training looks at it.
    """

    name: str
    pool: str
    questions: pd.DataFrame
    queries: pd.DataFrame
    passages: pd.DataFrame
    qrels: pd.DataFrame
    negatives: np.ndarray | None = None
    asked: np.ndarray | None = None

    def handed_out(self) -> "ParallelSet":
        """The same set with tables of its own: writing into them changes no other."""
        tables = {name: table.copy() for name, table in vars(self).items() if isinstance(table, pd.DataFrame)}
        return replace(self, **tables)

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
        if self.asked is not None:
            hashed.update(b"2")  # how batches heed it: raised when the same set would give other ones
            hashed.update(self.asked.tobytes())
        return hashed.hexdigest()[:16]

    @cached_property
    def heldout(self) -> "ParallelSet":
        """The questions for in-domain tests, against the unchanged pool; kept, so that its digest is found once."""
        return self.only((self.questions["split"] == "test").to_numpy(), f"{self.name}-heldout")

    def only(self, keep: np.ndarray, name: str | None = None) -> "ParallelSet":
        """The questions where ``keep`` (bool [questions]) is true, against the unchanged pool."""
        asked = keep[self.queries["question"].to_numpy()]
        return replace(
            self,
            name=name or self.name,
            questions=_kept(self.questions, keep),
            queries=_kept(self.queries, asked, question=keep),
            qrels=_kept(self.qrels, asked[self.qrels["query"]], query=asked),
            negatives=None if self.negatives is None else self.negatives[keep],
            asked=None if self.asked is None else self.asked[keep],
        )

    def within(self, languages: list[str], name: str) -> "ParallelSet":
        """The questions and passages in some languages."""
        asked, held = (table["language"].isin(languages).to_numpy() for table in (self.queries, self.passages))
        judged = asked[self.qrels["query"]] & held[self.qrels["passage"]]
        return replace(
            self,
            name=name,
            pool=name,
            queries=_kept(self.queries, asked),
            passages=_kept(self.passages, held),
            qrels=_kept(self.qrels, judged, query=asked, passage=held),
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


def _kept(table: pd.DataFrame, keep: np.ndarray, **kept: np.ndarray) -> pd.DataFrame:
    """The rows of a table that are kept; columns that number rows of other tables, of which some are kept, follow."""
    rows = table[keep].reset_index(drop=True)
    return rows.assign(**{column: (np.cumsum(those) - 1)[rows[column]] for column, those in kept.items()})


def alike(text: str) -> str:
    """A text as it is read: in one Unicode form (NFC), without what cannot be seen, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).translate(UNSEEN).split())


def folded(text: str) -> str:
    """A text as it is compared with others: Unicode NFKC, what can be seen of it, small letters, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(UNSEEN).casefold().split())


def _texts(table: pd.DataFrame) -> pd.Series:
    return table["language"] + " " + table["text"].map(folded)


def bits_of(text: str) -> int:
    """64 bits that are the same in every process, which those of the built-in `hash` are not."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def split_of(group: str) -> str:
    """``train`` (80%), ``dev`` (10%) or ``test`` (10%), by a fixed hash of the group's name."""
    return next(split for split, buckets in SPLITS.items() if bits_of(group) % 100 in buckets)


def folds_of(questions: pd.DataFrame, count: int = FOLDS) -> np.ndarray:
    """The fold of each question, from 0: whole groups, dealt out in the order of a fixed hash of their names.

    Groups of the training split are dealt first, so that each fold lacks about as many training questions.

    Args:
        questions: ``group, split``.
    """
    groups = questions.drop_duplicates("group")[["group", "split"]]
    hashed = groups["group"].map(lambda group: hashlib.sha256(f"fold {group}".encode()).hexdigest())
    order = groups.assign(hashed=hashed, other=groups["split"] != "train").sort_values(["other", "hashed"])["group"]
    return questions["group"].map({group: place % count for place, group in enumerate(order)}).to_numpy()


def assemble(
    name: str,
    questions: pd.DataFrame,
    queries: list[tuple[int, str, str]] | pd.DataFrame,
    passages: list[tuple[str, str, str]] | pd.DataFrame,
    answers: list[tuple[int, int]] | pd.DataFrame,
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
    """A set from the rows of `data.jsonl`; equal passages of a language are one candidate."""
    passages, first = [], {}
    languages = {x for row in rows for x in row["p"]}
    # In the order of docids each language is in one piece: en-001000, of en, would stand within en-001, the language.
    mark = "/" if any(y.startswith(f"{x}-") and y[len(x) + 1].isdigit() for x in languages for y in languages) else "-"
    texts = {x: dict.fromkeys(row[s][x] for s in "pn" for row in rows if x in row.get(s, {})) for x in languages}
    width = max(6, len(str(max(map(len, texts.values())))))
    for language in sorted(languages, key=lambda x: x + mark):
        for number, text in enumerate(texts[language]):
            first[language, text] = len(passages)
            passages.append((f"{language}{mark}{number:0{width}d}", language, text))
    queries = [(number, x, query_text(row, x)) for number, row in enumerate(rows) for x in sorted(row["q"])]
    answers = [(number, first[item]) for number, row in enumerate(rows) for item in row["p"].items()]
    groups = [group_of(row) for row in rows]
    splits = [row.get("split") or split_of(group) for row, group in zip(rows, groups, strict=True)]
    questions = pd.DataFrame({"id": [row["id"] for row in rows], "group": groups, "split": splits})
    made = assemble(name, questions, queries, passages, answers)
    if "n" not in rows[0]:
        return made
    negatives = [[first.get((x, row["n"].get(x)), -1) for x in made.languages] for row in rows]
    return replace(made, negatives=np.array(negatives, np.int32))


def query_text(row: dict, language: str) -> str:
    """What a row asks in a language, with its title before it."""
    title = row.get("title", {}).get(language)
    return f"{title}: {row['q'][language]}" if title else row["q"][language]


def group_of(row: dict) -> str:
    """What a row must not be separated from when splits are made: its ``group``, else its page.

    The page is the part of the id before ``#``; of an id that begins with it, up to the next one.
    """
    return row.get("group") or PAGE.match(row["id"])[0]
