"""Language bias: does a retriever rank passages by their language rather than by their content?

Most measures here need only the ranks that a query's relevant passages have in the pool of all languages; there all
translations of the answer are equally right. `evaluation.synthetic` shows what each of them notices and misses.

PEER (arXiv 2405.00978) is not among them: it is the p-value of a Kruskal-Wallis test of the ranks by language, and
with one relevant passage in each language every group of that test has one member, whatever its rank.
"""

import numpy as np
import pandas as pd

from . import metrics

QUERY = ["question", "query_language"]
CUTOFFS = (10, 100)


def measures(ranks: pd.DataFrame, units: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every measure of `per_query` as a macro mean: over questions within a query language, then over languages.

    Args:
        ranks: as in `evaluation.search.Ranking`.
        units: what `evaluation.metrics.units` makes of them, if it was made already.

    Returns:
        One row per measure that exists for these data: ``measure, value``.
    """
    means = per_query(ranks, units).groupby(level="query_language").mean().mean().dropna()
    return means.rename_axis("measure").rename("value").reset_index()


def per_query(ranks: pd.DataFrame, units: pd.DataFrame | None = None) -> pd.DataFrame:
    """What each measure says of each query, in the pool of all languages.

    ``map``, ``rank_distance`` and ``max_rank`` are those of `evaluation.metrics`; ``awrf``, ``rank_correlation`` and
    ``own_first`` have functions of their own here. ``complete@k`` is 1 if all relevant passages stand in the first
    k, and NaN for a query that has more than k of them, which no retriever could satisfy.

    Args:
        ranks, units: as for `measures`.

    Returns:
        float, indexed by question and query language, one column a measure.
    """
    ranks = metrics.coded(ranks)
    given = units is not None and "max_rank" in units
    pooled = units[units["setting"] == "multilingual"] if given else metrics.measure(ranks, QUERY, "pool_rank")
    first, query, relevant = metrics.groups(ranks, QUERY)  # in the order of ``pooled``
    index = pd.MultiIndex.from_frame(ranks[QUERY].take(first))
    found = pooled[["map", "rank_distance", "max_rank"]].set_axis(index)
    for k in CUTOFFS:
        found[f"complete@{k}"] = (found["max_rank"] <= k).astype(float).where(relevant <= k)
    found["awrf"] = _awrf(ranks, query)
    found["rank_correlation"] = _rank_correlation(ranks, query)
    found["own_first"] = _own_first(ranks, query)
    return found


def _joined(number: np.ndarray, language: pd.Series) -> np.ndarray:
    """Whole numbers and languages as one whole number, in the order of the number, then of the language."""
    return number * len(language.cat.categories) + language.cat.codes.to_numpy(np.int64)


def awrf(ranks: pd.DataFrame) -> pd.Series:
    """Attention-weighted rank fairness of each query: is attention shared alike by the languages that have an answer?

    A relevant passage at rank r gets the attention 1 / log2(1 + r). The share of each language is set against equal
    shares, as 1 minus their Jensen-Shannon divergence in bits: the form of TREC's Fair Ranking track (arXiv
    2302.05558), over the relevant passages alone. The most that m languages can reach is a little below 1, since
    one of them must come first; far down the ranking attention falls so slowly that it hardly tells ranks apart.
    """
    return per_query(ranks)["awrf"]


def _awrf(ranks: pd.DataFrame, query: np.ndarray) -> np.ndarray:
    languages = ranks["passage_language"]
    shape = query.max() + 1, len(languages.cat.categories)
    attention = 1 / np.log2(1 + ranks["pool_rank"].to_numpy())
    attention = np.bincount(_joined(query, languages), attention, shape[0] * shape[1]).reshape(shape)
    there = attention > 0
    share = attention / attention.sum(axis=1, keepdims=True)
    target = there / there.sum(axis=1, keepdims=True)
    middle = np.where(there, (share + target) / 2, 1)
    logs = [np.log2(np.where(there, part, 1) / middle) for part in (share, target)]
    return 1 - (share * logs[0] + target * logs[1]).sum(axis=1) / 2


def rank_correlation(ranks: pd.DataFrame) -> pd.Series:
    """Does a question find its relevant passages in the same order in whichever language it is asked?

    Mean Spearman correlation of a query's ranks with those of the same question in each other language (MRC, arXiv
    2509.06195, there over whole rankings). NaN for one relevant passage or one query language, and where the
    relevant passages of a question differ between the languages that it is asked in.
    """
    return per_query(ranks)["rank_correlation"]


def _rank_correlation(ranks: pd.DataFrame, query: np.ndarray) -> np.ndarray:
    count = np.bincount(query)
    place = _place(query, ranks["pool_rank"].to_numpy())
    apart = place - (np.bincount(query, place) / count)[query]
    spread = np.sqrt(np.bincount(query, apart**2) / count)
    with np.errstate(invalid="ignore"):
        z = apart / spread[query]
    language = ranks["passage_language"]
    if "passage" in ranks and (ranks["passage"] >= 0).all():
        passage = ranks["passage"].to_numpy()
    else:  # the same in each language that a question is asked in: numbered within each query and language
        passage = _place(_joined(query, language), np.arange(len(ranks)))
    number, question = np.unique(ranks["question"], return_inverse=True)
    _, alike = np.unique(_joined(question * int(passage.max() + 1) + passage, language), return_inverse=True)
    question_of = np.zeros(len(count), np.int64)
    question_of[query] = question
    asked = np.bincount(question_of)  # in how many languages, for each question
    with np.errstate(invalid="ignore"):
        products = np.bincount(query, z * (np.bincount(alike, z)[alike] - z)) / count
    lacking = np.zeros(len(number), bool)
    lacking[question[np.bincount(alike)[alike] < asked[question]]] = True
    others = np.where(lacking | (asked < 2), np.nan, asked - 1.0)
    return products / others[question_of]


def _place(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The rank of each value within its group, from 1; equal ones share the mean of theirs."""
    return pd.Series(values).groupby(group).rank().to_numpy()


def own_first(ranks: pd.DataFrame) -> pd.Series:
    """1 where the best placed relevant passage is in the query's own language; NaN where none is in it.

    A retriever blind to language gives, on average, 1 / m with m languages. Some argue that a
    high value is desirable: the measure says how far the query's language is preferred, not whether that is good.
    """
    return per_query(ranks)["own_first"]


def _own_first(ranks: pd.DataFrame, query: np.ndarray) -> np.ndarray:
    rank = ranks["pool_rank"].to_numpy(float)
    own = ranks["passage_language"].cat.codes.to_numpy() == ranks["query_language"].cat.codes.to_numpy()
    best, best_own = (np.full(query.max() + 1, np.inf) for _ in range(2))
    np.minimum.at(best, query, rank)
    np.minimum.at(best_own, query[own], rank[own])
    return np.where(np.isinf(best_own), np.nan, best == best_own)


def who_is_hurt(ranks: pd.DataFrame) -> pd.DataFrame:
    """Median rank in the pool of the relevant passages of each language (columns), by query language (rows)."""
    keys = ["query_language", "passage_language"]
    return metrics.coded(ranks).groupby(keys, observed=True)["pool_rank"].median().unstack()


def top_shares(counts: np.ndarray, languages: list[str], pool: pd.Series) -> pd.DataFrame:
    """Share of each passage language among the first 10 of each query language, beside its share of the pool.

    Args:
        counts: int [query languages, passage languages], as in `evaluation.search.Ranking.top`.
        languages: names of both axes.
        pool: language of each passage of the pool.

    Returns:
        ``query_language, passage_language, share, pool_share``, for the query languages that have queries.
    """
    asked = np.flatnonzero(counts.sum(axis=1))
    share = counts[asked] / counts[asked].sum(axis=1, keepdims=True)
    in_pool = pool.value_counts(normalize=True).reindex(languages, fill_value=0.0).to_numpy()
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


def share_distance(top: pd.DataFrame) -> float:
    """How far the languages of the first 10 are from those of the pool: 0 for no difference, towards 1.

    Half the sum of the absolute differences of the shares (total variation), mean over query languages.
    """
    apart = (top["share"] - top["pool_share"]).abs().groupby(top["query_language"]).sum() / 2
    return float(apart.mean())


def gap(languages: pd.DataFrame) -> pd.DataFrame:
    """Worst language and the gap from monolingual to cross-lingual mAP.

    Args:
        languages: as `evaluation.metrics.by_language` returns it.

    Returns:
        One row per measure: ``measure, value``.
    """
    chosen = languages[languages["metric"] == "map"]
    means = {s: chosen[chosen["setting"] == s].groupby("query_language")["value"].mean() for s in metrics.SETTINGS}
    rows = {f"worst language, {s}": values.min() for s, values in means.items() if len(values)}
    rows["monolingual - cross-lingual"] = means["monolingual"].mean() - means["cross-lingual"].mean()
    return pd.DataFrame({"measure": list(rows), "value": list(rows.values())})
