"""Effectiveness measures, computed from the ranks of the relevant passages alone.

A *unit* is one query against one corpus: that of one language, or the pool of all. Per unit, with the m relevant
passages at ranks r_1 < ... < r_m:

- ``map``: average precision without cutoff, (1/m) * sum_i i / r_i.
- ``recall@k``: share of the m that stand in the first k.
- ``ndcg@10``: sum over r_i <= 10 of 1 / log2(1 + r_i), over the same sum for the ideal ranking.
- ``rank_distance``: r_m - r_1, in the pool of all languages only (the paper's measure of bias, section 3.2, after
  Huang et al. 2023). At least m - 1; on MLQA-R m is 2 to 4, on XQuAD-R 11, so the two are not comparable.
- ``max_rank``: r_m, in that pool: how far one must read to have met the answer in all its languages (Max@R).

Settings (paper, section 3.2): *monolingual*, queries against the corpus of their own language; *cross-lingual*,
against the corpus of one other language; *multilingual*, against one pool of all languages.
"""

import numpy as np
import pandas as pd

SETTINGS = ("monolingual", "cross-lingual", "multilingual")
COMPUTED = ("map", "recall@1", "recall@10", "recall@100", "ndcg@10", "rank_distance", "max_rank")
POOL = "all"  # the passage language of the multilingual setting


def units(ranks: pd.DataFrame) -> pd.DataFrame:
    """Per-unit values in all three settings.

    Args:
        ranks: as in `evaluation.search.Ranking`.

    Returns:
        One row per unit: ``setting, question, query_language, passage_language`` and one column a measure, among
        them ``rank_distance`` and ``max_rank`` in the multilingual setting.
    """
    ranks = coded(ranks)
    keys = ["question", "query_language", "passage_language"]
    single = measure(ranks, keys, "rank")
    same = single["query_language"] == single["passage_language"]
    names = sorted(SETTINGS)
    where = np.where(same, names.index("monolingual"), names.index("cross-lingual"))
    single.insert(0, "setting", pd.Categorical.from_codes(where, names))
    if ranks["passage_language"].nunique() == 1 or not (~same).any():  # not parallel: there is no multilingual pool
        return single
    languages = ranks["passage_language"].dtype
    everywhere = pd.Categorical.from_codes(np.full(len(ranks), languages.categories.get_loc(POOL)), dtype=languages)
    pooled = measure(ranks.assign(passage_language=everywhere), keys, "pool_rank")
    pooled.insert(0, "setting", pd.Categorical.from_codes(np.full(len(pooled), names.index("multilingual")), names))
    return pd.concat([single, pooled], ignore_index=True)


def coded(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return ranks with both languages as categories of one type, sorted, `POOL` among them: several times as fast."""
    names = ("query_language", "passage_language")
    types = {ranks[name].dtype for name in names}
    if len(types) == 1 and isinstance(only := types.pop(), pd.CategoricalDtype) and POOL in only.categories:
        return ranks
    languages = pd.CategoricalDtype(sorted({POOL, *(code for name in names for code in ranks[name].unique())}))
    return ranks.assign(**{name: ranks[name].astype(languages) for name in names})


def is_parallel(ranks: pd.DataFrame) -> bool:
    """Whether a question has answers in other languages than its own."""
    return bool((ranks["query_language"] != ranks["passage_language"]).any())


def measure(ranks: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """All measures for each group of ``keys``, from the ranks (from 1) in ``column``."""
    group, place_of = _joined(ranks, keys), ranks[column].to_numpy()
    order = order_within(group, place_of)
    first = np.flatnonzero(np.diff(group[order], prepend=-1) != 0)
    rank = place_of[order].astype(np.float64)
    count = np.diff(first, append=len(rank))
    place = np.arange(len(rank)) - np.repeat(first, count) + 1
    table = ranks[keys].take(order[first]).reset_index(drop=True)
    table["map"] = np.add.reduceat(place / rank, first) / count
    for k in (1, 10, 100):
        table[f"recall@{k}"] = np.add.reduceat((rank <= k).astype(np.float64), first) / count
    gains = 1 / np.log2(1 + np.arange(1, 11))  # of the first ten places
    gain = np.append(gains, 0)[np.minimum(rank, 11).astype(np.int64) - 1]
    table["ndcg@10"] = np.add.reduceat(gain, first) / np.cumsum(gains)[np.minimum(count, 10) - 1]
    if column == "pool_rank":
        last = first + count - 1
        table["rank_distance"] = rank[last] - rank[first]
        table["max_rank"] = rank[last]
    return table


def order_within(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """int64 [rows]: the order by group and, in it, by value, from 0 up; of equal ones the first stays first.

    Of whole numbers one key is sorted in place of two: rows stand nearly so, which a stable sort makes use of.
    """
    if values.dtype.kind == "f":  # infinite where a passage was not retrieved
        return np.lexsort([values, group])
    return np.argsort(group.astype(np.int64) * (int(values.max(initial=0)) + 1) + values, kind="stable")


def _joined(table: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """int64 [rows]: one whole number for the values of all keys, in their order."""
    codes = [_code(table[name]).astype(np.int64) for name in keys]
    return np.ravel_multi_index(codes, [code.max(initial=0) + 1 for code in codes])


def _code(values: pd.Series) -> np.ndarray:
    """Whole numbers from 0 in the order of the values."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy()
    return pd.factorize(values, sort=True)[0]


def by_query(table: pd.DataFrame) -> pd.DataFrame:
    """The scores per query that sweeps and cross-fitting keep.

    Args:
        table: as `units` returns it, of one set.

    Returns:
        One row per question and query language: ``question, query_language``, average precision in each setting (in
        ``cross-lingual`` the mean over the languages that answer it; 0 where there is none), and ``rank_distance``.
    """
    keys = ["question", "query_language"]
    found = table.pivot_table(index=keys, columns="setting", values="map", aggfunc="mean", observed=True)
    found = found.reindex(columns=list(SETTINGS)).fillna(0.0)
    pooled = table[table["setting"] == "multilingual"].set_index(keys)["rank_distance"]
    return found.assign(rank_distance=pooled).reset_index().rename_axis(columns=None)


def by_language(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over questions for each setting and language pair, long: ``..., metric, value, n``."""
    names = [name for name in COMPUTED if name in table]
    keys = ["setting", "query_language", "passage_language"]
    first, group, count = groups(table, keys)
    means = np.stack([np.bincount(group, table[name].to_numpy()) / count for name in names], axis=1)
    found = table[keys].take(np.repeat(first, len(names))).reset_index(drop=True)
    found = found.assign(metric=np.tile(names, len(first)), value=means.ravel(), n=np.repeat(count, len(names)))
    return found[found["value"].notna()].reset_index(drop=True)


def macro(languages: pd.DataFrame) -> pd.DataFrame:
    """Unweighted mean over a setting's language pairs (paper, tables 1 and 2); ``n`` counts the units behind it."""
    keys = ["setting", "metric"]
    first, group, count = groups(languages, keys)
    means = np.bincount(group, languages["value"].to_numpy()) / count
    units = np.bincount(group, languages["n"].to_numpy()).astype(np.int64)
    return languages[keys].take(first).reset_index(drop=True).assign(value=means, n=units)


def groups(table: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of equal keys in their order: each group's first row, each row's group, and each group's size."""
    return np.unique(_joined(table, keys), return_index=True, return_inverse=True, return_counts=True)[1:]
