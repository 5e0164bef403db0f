"""Language offset taken out: each language's mean vector is subtracted, and the ranking made anew.

The means come from *other* texts (another benchmark, or the facts corpus), as one would have to do it in use; and, for
comparison, from the texts of the test itself, which knows what is asked. Queries and passages have means of their own.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..data.catalog import HELDOUT
from ..data.sets import ParallelSet
from . import metrics, search

OWN = "own"  # the source of means that are taken from the test's own texts
SOURCES = ("xquad-r", "mlqa-r", "facts")  # pools whose texts give means for other tests
MEASURED = ("map", "rank_distance")
SETTINGS = ("monolingual", "multilingual")
ROUNDING = 1e-6  # of a vector's length: less than that is not what is left of it, but rounding
Encoded = tuple[ParallelSet, np.ndarray, np.ndarray]  # a set, and the vectors of its queries and passages
Means = dict[str, np.ndarray]  # of each language


def read_off(
    encoded: Mapping[str, Encoded], scored: Collection[str] | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """What each whole parallel set scores when language means are subtracted, by the source of the means.

    Args:
        encoded: by name, all sets that are at hand: float32 [texts, dimensions], rows as in ``queries``
            and ``passages`` of the set. A set is scored unless it is a held-out part; it gives means to the sets of
            other pools whose languages it all has, if its pool is one of ``SOURCES``.
        scored: the sets to score; all, if not given.

    Returns:
        ``{set: {source: measured}}``, with ``own`` among the sources; see `measured`.
    """
    means, encoded = {}, {name: (chosen, *map(at_length_1, of)) for name, (chosen, *of) in encoded.items()}
    for chosen, queries, passages in encoded.values():
        if chosen.pool in SOURCES:  # a whole set comes before its held-out part or gives way to it: either will do
            means.setdefault(chosen.pool, of_sides(chosen, queries, passages))
    found = {}
    for name, (chosen, queries, passages) in encoded.items():
        if name.endswith(HELDOUT) or (scored is not None and name not in scored):
            continue
        sources = {OWN: of_sides(chosen, queries, passages)}
        sources |= {pool: sides for pool, sides in means.items() if pool != chosen.pool}
        found[name] = {
            source: measured(chosen, queries, passages, *sides)
            for source, sides in sources.items()
            if all(set(part["language"]) <= set(side) for part, side in zip(_texts(chosen), sides, strict=True))
        }
    return found


def of_sides(chosen: ParallelSet, queries: np.ndarray, passages: np.ndarray) -> tuple[Means, Means]:
    """The mean vector of each language's queries, and of its passages."""
    return tuple(of(v, part["language"]) for v, part in zip((queries, passages), _texts(chosen), strict=True))


def of(vectors: np.ndarray, languages: pd.Series) -> Means:
    """The mean vector of each language; 0 where there is one text, which would otherwise vanish.

    Args:
        vectors: float32 [texts, dimensions].
        languages: [texts], the language of each.
    """
    # In double precision: a sum of a million vectors in single precision loses the third digit.
    texts = languages.groupby(languages).indices
    several = {name: len(rows) > 1 for name, rows in texts.items()}
    means = {name: vectors[rows].mean(axis=0, dtype=np.float64).astype(np.float32) for name, rows in texts.items()}
    return {name: mean * several[name] for name, mean in means.items()}


def centred(vectors: np.ndarray, languages: pd.Series, means: Means) -> np.ndarray:
    """Vectors less the mean of their language, at length 1 again: float32 [texts, dimensions].

    Raises:
        ValueError: a language has no mean.
    """
    if lacking := sorted(set(languages) - set(means)):
        raise ValueError(f"no mean vector of: {', '.join(lacking)}")
    return unit(vectors - np.stack([means[language] for language in languages]), vectors)


def at_length_1(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1, so that long ones do not weigh more in a mean."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors if np.allclose(length, 1, atol=1e-4) else unit(vectors, vectors)


def unit(rest: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """What is left of vectors, at length 1: float32; 0 where nothing but rounding is left of one."""
    length = np.linalg.norm(rest, axis=1, keepdims=True)
    some = length > ROUNDING * np.linalg.norm(vectors, axis=1, keepdims=True)
    return (np.where(some, rest, 0) / np.where(some, length, 1)).astype(np.float32)


def measured(
    chosen: ParallelSet, queries: np.ndarray, passages: np.ndarray, query_means: Means, passage_means: Means
) -> dict[str, Any]:
    """Rank anew with means subtracted, and keep what intervals and tables need, as JSON values.

    Returns:
        ``macro``: rows ``setting, metric, value, n`` of mAP and rank distance (see `metrics.macro`); ``top``: as
        in `evaluation.search.Ranking`, rows and columns in the order of ``chosen.languages``; ``articles``: by setting
        (monolingual, multilingual) and query language, the sum of average precision over each article's questions,
        articles in the order of first appearance in ``chosen.questions``.
    """
    ranking = search.rank(
        centred(queries, chosen.queries["language"], query_means),
        centred(passages, chosen.passages["language"], passage_means),
        chosen,
    )
    units = metrics.units(ranking.ranks)
    macro = metrics.macro(metrics.by_language(units))
    article = pd.factorize(chosen.questions["group"])[0]
    units = units[units["setting"].isin(SETTINGS)]
    sums = {
        setting: {
            language: np.bincount(article[part["question"]], part["map"], minlength=article.max() + 1).round(4).tolist()
            for language, part in of_setting.groupby("query_language", sort=True)
        }
        for setting, of_setting in units.groupby("setting", sort=True)
    }
    return {
        "macro": macro[macro["metric"].isin(MEASURED)].round(6).to_dict("records"),
        "top": ranking.top.tolist(),
        "articles": sums,
    }


def _texts(chosen: ParallelSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    return chosen.queries, chosen.passages
