"""Language bias: does a retriever rank passages by their language rather than by their content?"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib import metrics


def rank_distance(pool_ranks: Iterable[int]) -> int:
    """Rank of the worst-placed relevant passage minus that of the best-placed one, in one pool of all languages.

    The paper's measure (section 3.2, after Huang et al. 2023). It is averaged over the questions of a query
    language, then over languages. Zero cannot be reached: with m relevant passages the least is m - 1. On
    MLQA-R it is taken over 2 to 4 passages, so its values are not comparable with those of XQuAD-R (11).
    """
    ranks = list(pool_ranks)
    return max(ranks) - min(ranks)


def max_rank(pool_ranks: Iterable[int]) -> int:
    """How far one must read to have met the relevant passages of all languages (Max@R)."""
    return max(pool_ranks)


def top_shares(counts: np.ndarray, languages: list[str], pool: pd.Series) -> pd.DataFrame:
    """Share of each passage language among the first 10 of each query language, beside its share of the pool.

    Args:
        counts: int [query languages, passage languages], as in `lib.search.Ranking.top`.
        languages: names of both axes.
        pool: language of each passage of the pool.

    Returns:
        ``query_language, passage_language, share, pool_share``, for the query languages that have queries.
    """
    asked = np.flatnonzero(counts.sum(axis=1))
    share = counts[asked] / counts[asked].sum(axis=1, keepdims=True)
    in_pool = pool.value_counts(normalize=True).reindex(languages).to_numpy()
    return pd.DataFrame(
        {
            "query_language": np.repeat(np.array(languages)[asked], len(languages)),
            "passage_language": np.tile(languages, len(asked)),
            "share": share.ravel(),
            "pool_share": np.tile(in_pool, len(asked)),
        }
    )


def own_language_share(top: pd.DataFrame) -> float:
    """Mean over query languages of the share of the first 10 that is in the query's own language."""
    own = top[top["query_language"] == top["passage_language"]]
    return float(own["share"].mean())


def gap(languages: pd.DataFrame) -> pd.DataFrame:
    """Worst language and the gap from monolingual to cross-lingual mAP.

    Args:
        languages: as `lib.metrics.by_language` returns it.

    Returns:
        One row a measure: ``measure, value``.
    """
    chosen = languages[languages["metric"] == "map"]
    means = {s: chosen[chosen["setting"] == s].groupby("query_language")["value"].mean() for s in metrics.SETTINGS}
    rows = {f"worst language, {s}": values.min() for s, values in means.items() if len(values)}
    rows["monolingual - cross-lingual"] = means["monolingual"].mean() - means["cross-lingual"].mean()
    return pd.DataFrame({"measure": list(rows), "value": list(rows.values())})
