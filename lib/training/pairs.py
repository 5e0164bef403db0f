"""What batches are made of: every pair of a question and a passage that answers it, and which must never meet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..base.errors import UserError
from ..data.sets import ParallelSet, alike
from . import columns


@dataclass(frozen=True)
class Pairs:
    """Every pair (question, query language, passage language) that a parallel set offers, numbered.

    Attributes:
        languages: of the set; the last two axes of ``row`` follow it.
        row: int32 [questions, languages, languages], number of the pair, -1 where it does not exist.
        anchor, positive: int32 [pairs], row of the pair's text in ``queries`` and in ``passages``, or in the columns
            of one's own data set.
        negative: int32 [pairs], row in ``passages`` of a text in the positive's language that does not answer the
            question; None where the set has none.
        answers: int64 [questions, languages], equal where two questions have the same relevant text, in whatever
            language, -1 where there is none. Two questions that agree in one must not share a batch: each one's
            positive would be the other's false negative. If some questions share their wording, further columns mark
            those in the same way, one per language.
        wrong: int64 [questions, columns], as ``answers``: what must not share a batch with a question as another one's
            answer. A column a language holds its explicit negatives, if the set has them; further ones mark the
            wordings that what it shows, answer or negative, is right for in another row.
        texts: uint64 [pairs] each, hashes of the rows' passages, and of their questions where these were given, by
            which the data set that the pairs were made from is known again.
    """

    languages: list[str]
    row: np.ndarray
    anchor: np.ndarray
    positive: np.ndarray
    negative: np.ndarray | None
    answers: np.ndarray
    wrong: np.ndarray
    texts: tuple[np.ndarray, ...]

    @property
    def english(self) -> int | None:
        """Which of the languages is English, ``en`` or ``eng`` in any case; None if none is."""
        found = [number for number, code in enumerate(self.languages) if code.casefold() in ("en", "eng")]
        return found[0] if found else None

    @staticmethod
    def of(data: ParallelSet) -> "Pairs":
        queries, passages = data.query_rows, data.passage_rows
        exists = (queries >= 0)[:, :, None] & (passages >= 0)[:, None, :]
        row = np.full(exists.shape, -1, np.int32)
        row[exists] = np.arange(exists.sum())
        question, query_language, passage_language = np.nonzero(exists)
        texts = pd.factorize(data.passages["text"])[0]  # a name or a number answers in whatever language
        answers = np.where(passages >= 0, texts[passages], -1)
        negative, wrong = None, np.empty((len(answers), 0), np.int64)
        if data.negatives is not None:
            negative = data.negatives[question, passage_language]
            wrong = np.where(data.negatives >= 0, texts[data.negatives], -1)
        if data.asked is not None:
            answers, wrong = _apart(data.asked, answers, wrong)
        anchor, positive = queries[question, query_language], passages[question, passage_language]
        passage, query = _hashed(data.passages["text"], data.queries["text"])
        known = passage[positive], query[anchor], *([] if negative is None else [passage[negative]])
        return Pairs(data.languages, row, anchor, positive, negative, answers, wrong, known)

    @staticmethod
    def listed(
        questions: Sequence[str],
        query_languages: Sequence[str],
        passage_languages: Sequence[str],
        passages: Sequence[str],
        negatives: Sequence[str] | None = None,
        queries: Sequence[str] | None = None,
    ) -> "Pairs":
        """Pairs that are the rows of a data set of one's own, in its order: row n is pair n.

        Args:
            questions: what each row asks: an id that all translations of a question share.
            query_languages, passage_languages: in which language each row asks, and is answered.
            passages: the text that answers each row, by which two questions with one answer are known, in whatever
                language.
            negatives: the text of each row that does not answer it, if the data set has a column of such: one that
                answers another question never shares a batch with that, and a data set that has other ones is refused.
            queries: the text of each row's question: with it a data set is refused too whose rows have changed places
                among those of one passage.

        Raises:
            UserError: the columns differ in length, or a question has two rows, or two answers, in the same languages.
        """
        given = {"questions": questions, "query_languages": query_languages}
        given |= {"passage_languages": passage_languages, "passages": passages}
        given |= {} if negatives is None else {"negatives": negatives}
        questions, query_languages, passage_languages, passages, *more = columns.as_arrays(given)
        languages = sorted({*query_languages, *passage_languages})
        question, ids = pd.factorize(questions)
        asked, answered = (pd.Index(languages).get_indexer(column) for column in (query_languages, passage_languages))
        read = pd.Series([alike(text) for column in (passages, *more) for text in column])
        text, wrong = np.split(pd.factorize(read)[0], [len(passages)])
        number = np.arange(len(question), dtype=np.int32)
        row = np.full((len(ids), len(languages), len(languages)), -1, np.int32)
        row[question, asked, answered] = number
        answers = np.full((len(ids), len(languages)), -1, np.int64)
        answers[question, answered] = text
        again = (row[question, asked, answered] != number) | (answers[question, answered] != text)
        if again.any():
            n = int(again.argmax())
            raise UserError(_twice(n + 1, questions[n], query_languages[n], passage_languages[n]))
        wrong = _wide(pd.DataFrame({"question": question[: len(wrong)], "value": wrong}), len(ids))
        if queries is not None:
            answers, wrong = _apart(_wordings(question, asked, queries, answers.shape), answers, wrong)
        return Pairs(languages, row, number, number, None, answers, wrong, _hashed(passages, queries, negatives))


def _wordings(question: np.ndarray, asked: np.ndarray, queries: Iterable[str], shape: tuple[int, int]) -> np.ndarray:
    """Numbers of what questions are asked in, int64 [questions, languages], of a row a pair; -1 where nothing is."""
    words = pd.Series([alike(text) for text in queries]) + "\t" + pd.Series(asked.astype(str))
    found = np.full(shape, -1, np.int64)
    found[question, asked] = pd.factorize(words)[0]
    return found


def _apart(asked: np.ndarray, answers: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What keeps questions apart that are asked the same: no two share a batch, nor does one meet what answers another.

    Args:
        asked: int64 [questions, languages], equal where two are asked in the same words, -1 where there are none.
        answers, wrong: as the attributes of `Pairs`, without wordings.

    Returns:
        ``answers`` and ``wrong`` with the wordings; as they were where no two questions share one.
    """
    told = asked[asked >= 0]
    if len(np.unique(told)) == len(told):
        return answers, wrong
    wordings = np.where(asked >= 0, asked + max(answers.max(initial=0), wrong.max(initial=0)) + 1, -1)
    wrong = np.hstack([wrong, _answered_elsewhere(wordings, answers, np.hstack([answers, wrong]))])
    return np.hstack([answers, wordings]), wrong


def _twice(row: int, question: str, asked: str, answered: str) -> str:
    return (
        f"row {row}: question {question!r} occurs again from {asked} to {answered}, or has another passage in the "
        "latter language; keep one passage a language, and one row a pair of languages"
    )


def _hashed(*columns: Iterable[str] | None) -> tuple[np.ndarray, ...]:
    """uint64 [rows] each: the hashes of the texts of columns, of those that there are."""
    return tuple(pd.util.hash_array(np.fromiter(column, object)) for column in columns if column is not None)


def _answered_elsewhere(asked: np.ndarray, answers: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The wordings that what a question shows is right for in another row: int64 [questions, most such], else -1.

    Args:
        asked: int64 [questions, languages], numbers of wordings, -1 for none.
        answers: int64 [questions, languages], numbers of texts, -1 for none.
        shown: int64 [questions, columns], the texts that a question brings into a batch: answers and negatives.
    """
    worded, texts, seen = (_long(table) for table in (asked, answers, shown))
    again = worded[worded["value"].duplicated(keep=False)]
    right = again.merge(texts, on="question", suffixes=("_asked", ""))[["value_asked", "value"]].drop_duplicates()
    found = seen.merge(right, on="value")[["question", "value_asked"]].rename(columns={"value_asked": "value"})
    own = pd.MultiIndex.from_frame(found).isin(pd.MultiIndex.from_frame(again))
    return _wide(found[~own], len(asked))


def _long(table: np.ndarray) -> pd.DataFrame:
    """A row for each value of a table that is there (not -1): ``question, value``."""
    place = np.nonzero(table >= 0)
    return pd.DataFrame({"question": place[0], "value": table[place]})


def _wide(rows: pd.DataFrame, questions: int) -> np.ndarray:
    """The different values of each question side by side: int64 [questions, most of one], -1 for none."""
    rows = rows.drop_duplicates()
    place = rows.groupby("question").cumcount()
    table = np.full((questions, int(place.max()) + 1 if len(place) else 0), -1, np.int64)
    table[rows["question"], place] = rows["value"]
    return table
