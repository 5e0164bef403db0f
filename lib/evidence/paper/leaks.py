"""Leaks: whether anything that an encoder is scored on was seen in its training (claims 4 and 5).

Judged are the questions, the sentences that answer them and the paragraphs of those, in every language, in two ways:
``exact`` (equal after Unicode NFKC, case folding and folding of whitespace) and ``near`` (TF-IDF of character
3- to 5-grams, cosine of at least .9). Translations do not count as copies of each other; a question's id, and the
article that it is about, are compared as well, and show what a comparison within a language cannot.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from ...base import progress
from ...base import store as artifacts
from ...base.config import Run
from ...data import catalog as data
from ...data.released import lareqa
from ...data.sets import ParallelSet, folded
from ...runs import cells
from ...runs import plan as grid

COLUMNS = ["unit", "match", "found", "of", "example"]
COSINE = 0.9
# One changed letter breaks a third of the n-grams of a text this short: at .9, hardly a copy is found that is not
# equal, but names that are part of each other are.
SHORTEST = 15
LONG, RUN, STEP, SHARE = 100, 12, 4, 1 / 3  # of `_candidates`
BLOCK = 256
EXAMPLE = 120
RULES = ("data", "evidence/paper/leaks")  # the code that says what is compared, and how


def overlap(train: ParallelSet, test: ParallelSet) -> pd.DataFrame:
    """How much of a test set is also in a training set, over all languages together.

    Only what is trained on counts as seen: the questions of ``train``, their relevant passages and explicit
    negatives, not the rest of its pool. Only what is judged counts as a unit of ``test``: its questions and their
    relevant passages.

    Returns:
        One row a unit (``question id``, ``group``, ``question``, ``answer sentence``, ``paragraph``) and ``match``
        (``exact``, ``near``): ``found``, the number of the test units that have a match in training, ``of`` all (texts
        that are equal count once a language), and an ``example``, empty if there is none. ``near`` includes
        ``exact``; its example is one that is not exact. Texts are matched within their language. Paragraphs exist
        for XQuAD-R and MLQA-R alone; other pairs of sets have no such rows.
    """
    return pd.DataFrame(_rows(train, test), columns=COLUMNS)


def table(run: Run) -> pd.DataFrame:
    """`overlap` of each training set of a run's cells with each set that they are scored on.

    MIRACL's corpora are left out, whose passages are never all at hand. Sentences are compared whatever the
    candidates are: a candidate that goes on with its paragraph is in two units.

    Returns:
        ``train, dataset`` and the columns of `overlap`.
    """
    config, pairs, found = run.config, _pairs(run), []
    with progress.task("leak check", len(pairs)) as task:
        for train, name in pairs:
            rows = _rows(data.training_set(train, config.eval), data.evaluation_set(name))
            found += [{"train": train, "dataset": name} | row for row in rows]
            task.advance()
    return pd.DataFrame(found, columns=["train", "dataset", *COLUMNS])


def inputs(run: Run) -> dict[str, Any]:
    """What the `table` depends on: which sets are compared, their texts, and the rules; nothing of the cells' ranks."""
    digests = [
        [train, data.training_digest(train, run.config.eval), name, data.evaluation_digest(name)]
        for train, name in _pairs(run)
    ]
    return {"pairs": digests, "code": artifacts.code(RULES), "scikit-learn": version("scikit-learn")}


def _pairs(run: Run) -> list[tuple[str, str]]:
    """Each training set of a run's cells with each set that they are scored on."""
    trained = [cell for cell in cells.of(run) if cell.train != grid.NONE]
    pairs = dict.fromkeys((cell.train, name) for cell in trained for name in grid.evaluated(cell, run.config))
    return [(train, name) for train, name in pairs if name != data.BY_SHARD]


def _rows(train: ParallelSet, test: ParallelSet) -> list[dict[str, Any]]:
    rows = []
    for unit, column in (("question id", "id"), ("group", "group")):
        asked = test.questions[column].drop_duplicates()
        rows.append(_row(unit, "exact", asked, asked.isin(train.questions[column])))
    rows += _matches("question", train.queries, test.queries)
    rows += _matches("answer sentence", pd.concat([_answers(train), _negatives(train)]), _answers(test))
    seen, asked = _paragraphs(train), _paragraphs(test)
    return rows if seen is None or asked is None else rows + _matches("paragraph", seen, asked)


def _row(unit: str, match: str, asked: pd.Series, found: pd.Series, shown: pd.Series | None = None) -> dict[str, Any]:
    examples = asked[found if shown is None else shown]
    example = examples.iloc[0][:EXAMPLE].replace("\r", " ") if len(examples) else ""  # which would end a row of a CSV
    return {"unit": unit, "match": match, "found": int(found.sum()), "of": len(asked), "example": example}


def _answers(of: ParallelSet) -> pd.DataFrame:
    return of.passages.loc[of.qrels["passage"].unique()]


def _negatives(of: ParallelSet) -> pd.DataFrame:
    return of.passages.loc[[] if of.negatives is None else np.unique(of.negatives[of.negatives >= 0])]


def _paragraphs(of: ParallelSet) -> pd.DataFrame | None:
    """The paragraphs of the answers; the two ways to read LAReQA's candidates number them alike."""
    base = of.pool.removesuffix("+paragraph")
    if base not in data.LAREQA:
        return None
    sentences, longer = (lareqa.read(base, way).passages for way in ("sentence", "sentence+paragraph"))
    found = longer.loc[of.qrels["passage"].unique()]
    pairs = zip(found["text"], sentences["text"].loc[found.index], strict=True)
    return found.assign(text=[text.removeprefix(f"{sentence} ") for text, sentence in pairs])


def _matches(unit: str, seen: pd.DataFrame, asked: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows ``exact`` and ``near`` of texts, which come in tables with columns ``language`` and ``text``."""
    units = asked.assign(folded=asked["text"].map(folded)).drop_duplicates(["language", "folded"])
    exact, near = pd.Series(False, units.index), pd.Series(False, units.index)
    for language, texts in units.groupby("language")["folded"]:
        pool = seen.loc[seen["language"] == language, "text"].map(folded).unique()
        exact[texts.index] = texts.isin(pool)
        near[texts.index] = exact[texts.index] | _near(texts.tolist(), pool.tolist())
    shown = units["text"]
    return [_row(unit, "exact", shown, exact), _row(unit, "near", shown, near, near & ~exact)]


def _near(texts: Sequence[str], pool: Sequence[str]) -> np.ndarray:
    """bool [texts]: whether the cosine to the nearest text of the pool is at least .9; never, for short texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = np.zeros(len(texts), bool)
    rows = [row for row, text in enumerate(texts) if len(text) >= SHORTEST]
    pool = [text for text in pool if len(text) >= SHORTEST]
    pool = [pool[row] for row in _candidates(pool, [texts[row] for row in rows])]
    rows = [rows[row] for row in _candidates([texts[row] for row in rows], pool)]
    if not rows:
        return found
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=False, dtype=np.float32)
    vectors = vectorizer.fit_transform([texts[row] for row in rows] + pool)
    ours, theirs = vectors[: len(rows)], vectors[len(rows) :].T.tocsr()
    for start in range(0, len(rows), BLOCK):
        nearest = (ours[start : start + BLOCK] @ theirs).max(axis=1).toarray().ravel()
        found[rows[start : start + BLOCK]] = nearest >= COSINE
    return found


def _candidates(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """Which texts can be near one of the others, if any: counting the n-grams of all would take minutes.

    Of a long text's runs of 12 characters, taken at every 4th, at least a third must occur in the others. In 5,400
    edited passages of six languages that were near their original, no share was below .39.
    """
    runs = {text[i : i + RUN] for text in others for i in range(len(text) - RUN + 1)}

    def share(text: str) -> float:
        starts = range(0, len(text) - RUN + 1, STEP)
        return sum(text[i : i + RUN] in runs for i in starts) / len(starts)

    return [row for row, text in enumerate(texts) if others and (len(text) < LONG or share(text) >= SHARE)]
