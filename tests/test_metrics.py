"""Measures: by hand, by LAReQA's definition of average precision, and by trec_eval on real texts."""

import math
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import sets as parallel
from lib.data.released import lareqa
from lib.evaluation import metrics, search


def ranks_table(rows) -> pd.DataFrame:
    """Rows of (question, query language, passage language, rank, rank in the pool)."""
    return pd.DataFrame(rows, columns=["question", "query_language", "passage_language", "rank", "pool_rank"])


def one(ranks: list[int], column: str = "rank") -> dict[str, float]:
    """The measures of a single unit."""
    table = ranks_table([(0, "en", "en", r, r) for r in ranks])
    return metrics.measure(table, ["question"], column).iloc[0].to_dict()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30),
    st.sampled_from([np.int32, np.int64, np.float64]),
    st.booleans(),
)
def test_rows_are_ordered_by_group_then_value_and_equal_ones_stay_as_they_stand(rows, kind, are_missing):
    group, values = np.array(rows, np.int64).reshape(-1, 2).T
    values = values.astype(kind)
    if are_missing and kind == np.float64:
        values[values == 9] = np.inf  # not retrieved
    wanted = sorted(range(len(rows)), key=lambda row: (group[row], values[row]))
    assert metrics.order_within(group, values).tolist() == wanted


# --- by hand ---


def test_measures_of_one_relevant_passage_by_hand():
    first, fourth, last = one([1]), one([4]), one([200])
    assert first["map"] == first["recall@1"] == first["recall@10"] == first["ndcg@10"] == 1
    assert fourth["map"] == 1 / 4
    assert (fourth["recall@1"], fourth["recall@10"], fourth["recall@100"]) == (0, 1, 1)
    assert fourth["ndcg@10"] == pytest.approx(1 / math.log2(5))
    assert last["map"] == 1 / 200  # no cutoff
    assert last["recall@100"] == last["ndcg@10"] == 0


def test_measures_of_several_relevant_passages_by_hand():
    found = one([30, 2, 5])
    assert found["map"] == pytest.approx((1 / 2 + 2 / 5 + 3 / 30) / 3)
    assert (found["recall@1"], found["recall@10"], found["recall@100"]) == (0, pytest.approx(2 / 3), 1)
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(6), 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"] == pytest.approx(gain / ideal)


def test_more_than_ten_relevant_passages_have_ten_in_the_ideal_first_ten():
    assert one(list(range(1, 13)))["ndcg@10"] == pytest.approx(1)
    assert one(list(range(1, 13)))["recall@10"] == pytest.approx(10 / 12)


def test_rank_distance_and_max_rank_by_hand():
    found = one([30, 2, 5], "pool_rank")
    assert (found["rank_distance"], found["max_rank"]) == (28, 30)
    assert (one([7], "pool_rank")["rank_distance"], one([7], "pool_rank")["max_rank"]) == (0, 7)
    assert "rank_distance" not in one([30, 2, 5])  # in one language it says nothing of languages


def test_units_of_all_three_settings_by_hand():
    ranks = ranks_table([
        (0, "de", "de", 2, 9), (0, "de", "en", 1, 4), (0, "en", "de", 3, 8), (0, "en", "en", 1, 1),
        (1, "en", "en", 5, 6),  # not asked or answered in German
    ])  # fmt: skip
    found = metrics.units(ranks).set_index(["setting", "question", "query_language", "passage_language"])
    assert len(found) == 8
    assert found["map"].to_dict() == {
        ("monolingual", 0, "de", "de"): 1 / 2,
        ("monolingual", 0, "en", "en"): 1,
        ("monolingual", 1, "en", "en"): 1 / 5,
        ("cross-lingual", 0, "de", "en"): 1,
        ("cross-lingual", 0, "en", "de"): pytest.approx(1 / 3),
        ("multilingual", 0, "de", "all"): (1 / 4 + 2 / 9) / 2,
        ("multilingual", 0, "en", "all"): (1 / 1 + 2 / 8) / 2,
        ("multilingual", 1, "en", "all"): pytest.approx(1 / 6),
    }
    distance = found["rank_distance"].dropna()
    assert distance.droplevel([0, 3]).to_dict() == {(0, "de"): 5, (0, "en"): 7, (1, "en"): 0}


def test_data_that_are_not_parallel_have_no_multilingual_setting():
    ranks = ranks_table([(0, "de", "de", 2, 9), (1, "en", "en", 5, 6)])
    assert set(metrics.units(ranks)["setting"]) == {"monolingual"}


def test_means_weigh_each_language_pair_alike():
    ranks = ranks_table([(n, "en", "en", r, r) for n, r in enumerate([1, 2, 2])] + [(0, "de", "de", 4, 4)])
    ranks = pd.concat([ranks, ranks_table([(0, "de", "en", 1, 1), (0, "en", "de", 2, 2), (1, "en", "de", 4, 4)])])
    languages = metrics.by_language(metrics.units(ranks))
    mean = languages[languages["metric"] == "map"].set_index(["setting", "query_language", "passage_language"])
    assert mean.loc[("monolingual", "en", "en"), ["value", "n"]].tolist() == [pytest.approx((1 + 1 / 2 + 1 / 2) / 3), 3]
    assert mean.loc[("monolingual", "de", "de"), ["value", "n"]].tolist() == [1 / 4, 1]
    assert mean.loc[("cross-lingual", "en", "de"), ["value", "n"]].tolist() == [(1 / 2 + 1 / 4) / 2, 2]
    macro = metrics.macro(languages).set_index(["setting", "metric"])
    assert macro.loc[("monolingual", "map"), "value"] == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert macro.loc[("cross-lingual", "map"), "value"] == pytest.approx((1 + 3 / 8) / 2)
    assert macro.loc[("monolingual", "map"), "n"] == 4


def test_rank_distance_is_only_in_the_multilingual_rows():
    ranks = ranks_table([(0, "de", "de", 2, 9), (0, "de", "en", 1, 4)])
    languages = metrics.by_language(metrics.units(ranks))
    only = languages[languages["metric"].isin(["rank_distance", "max_rank"])]
    assert set(only["setting"]) == {"multilingual"} and not languages["value"].isna().any()


# --- by definition ---


def average_precision(relevant: set[int], length: int) -> float:
    """LAReQA's: walk down the whole ranking; the mean, over the relevant ones, of the precision where each stands."""
    hits, total = 0, 0.0
    for place in range(1, length + 1):
        if place in relevant:
            hits += 1
            total += hits / place
    return total / len(relevant)


@settings(max_examples=200, deadline=None)
@given(relevant=st.lists(st.sets(st.integers(1, 120), min_size=1, max_size=15), min_size=1, max_size=5))
def test_measures_are_those_of_their_definitions(relevant):
    rows = [(n, "en", "en", r, r) for n, ranks in enumerate(relevant) for r in sorted(ranks, reverse=True)]
    found = metrics.measure(ranks_table(rows), ["question"], "rank")
    for wanted, (_, row) in zip(relevant, found.iterrows(), strict=True):
        assert row["map"] == pytest.approx(average_precision(wanted, 120), abs=1e-12)
        for k in (1, 10, 100):
            assert row[f"recall@{k}"] == pytest.approx(sum(r <= k for r in wanted) / len(wanted), abs=1e-12)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(wanted), 10) + 1))
        gain = sum(1 / math.log2(r + 1) for r in wanted if r <= 10)
        assert row["ndcg@10"] == pytest.approx(gain / ideal, abs=1e-12)


# --- by trec_eval, on real texts ---


def embed(texts) -> np.ndarray:
    """Words and pairs of characters hashed into 64 sums; as multiples of 1/64, so that scores are exact and tie."""
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        low = text.lower()
        for piece in [*low.split(), *(low[i : i + 2] for i in range(len(low) - 1))]:
            code = zlib.crc32(piece.encode())
            vectors[row, code % 64] += 1 if code & 64 else -1
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)
    return np.round(vectors / lengths * 64) / 64


@pytest.fixture(scope="module")
def part_of_mlqa(real_data):
    """60 real questions against their relevant sentences and every 12th of the others."""
    full = lareqa.read("mlqa-r")
    keep = np.zeros(len(full.questions), bool)
    keep[::20] = True
    some = full.only(keep)
    wanted = np.union1d(some.qrels["passage"].unique(), np.arange(0, len(full.passages), 12))
    number = {int(old): new for new, old in enumerate(wanted)}
    qrels = some.qrels.assign(passage=some.qrels["passage"].map(number).astype(np.int32))
    passages = some.passages.iloc[wanted].reset_index(drop=True)
    return parallel.ParallelSet("part", "part", some.questions, some.queries, passages, qrels)


def by_trec_eval(part, scores: np.ndarray, setting: str) -> dict[tuple, dict[str, float]]:
    """trec_eval's measures for each unit, from qrels and a run whose scores decrease strictly with the rank."""
    import pytrec_eval

    language = part.passages["language"].to_numpy()
    docid = part.passages["docid"].to_numpy()
    backwards = np.arange(len(docid))[::-1]
    qrels, run = {}, {}
    for query, relevant in part.qrels.groupby("query")["passage"]:
        asked, question = part.queries["language"][query], part.queries["question"][query]
        order = backwards[np.argsort(-scores[query][backwards], kind="stable")]  # docid descending among equals
        targets = ["all"] if setting == "multilingual" else sorted(set(language[relevant]))
        for target in targets:
            if target != "all" and (asked == target) != (setting == "monolingual"):
                continue
            corpus = order if target == "all" else order[language[order] == target]
            judged = [d for d in relevant if target in ("all", language[d])]
            unit = f"{question} {asked} {target}"
            qrels[unit] = {docid[d]: 1 for d in judged}
            run[unit] = {docid[d]: float(len(corpus) - place) for place, d in enumerate(corpus)}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recall.1,10,100", "ndcg_cut.10"})
    return evaluator.evaluate(run)


@pytest.mark.real_data
@pytest.mark.parametrize("setting", metrics.SETTINGS)
def test_every_unit_agrees_with_trec_eval_on_real_texts(setting, part_of_mlqa):
    pytest.importorskip("pytrec_eval")
    queries, passages = embed(part_of_mlqa.queries["text"]), embed(part_of_mlqa.passages["text"])
    scores = queries @ passages.T
    assert np.mean([len(np.unique(line)) for line in scores]) < 0.9 * len(passages)  # there are ties
    table = metrics.units(search.rank(queries, passages, part_of_mlqa).ranks)
    found = table[table["setting"] == setting]
    wanted = by_trec_eval(part_of_mlqa, scores, setting)
    assert len(found) == len(wanted) > 100
    names = {"map": "map", "ndcg@10": "ndcg_cut_10"} | {f"recall@{k}": f"recall_{k}" for k in (1, 10, 100)}
    for row in found.to_dict("records"):
        trec = wanted[f"{row['question']} {row['query_language']} {row['passage_language']}"]
        assert {name: row[name] for name in names} == pytest.approx({n: trec[t] for n, t in names.items()}, abs=1e-9)
    assert 0.02 < found["map"].mean() < 0.95  # neither all right nor all wrong: the comparison says something


def test_the_scores_of_a_query_are_its_average_precisions_in_each_setting():
    rows = [(0, "de", "de", 1, 2), (0, "de", "en", 2, 4), (0, "de", "zh", 4, 9), (1, "en", "en", 2, 3)]
    ranks = pd.DataFrame(rows, columns=["question", "query_language", "passage_language", "rank", "pool_rank"])
    found = metrics.by_query(metrics.units(ranks)).set_index(["question", "query_language"])
    assert found.loc[0, "de"].tolist() == pytest.approx([1, (1 / 2 + 1 / 4) / 2, (1 / 2 + 2 / 4 + 3 / 9) / 3, 7])
    assert found.loc[1, "en"].tolist() == pytest.approx([1 / 2, 0, 1 / 3, 0])
