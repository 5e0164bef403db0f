"""Language bias: measures by hand and by other people's formulas, rankings of known bias, tables and figures."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from scipy.spatial.distance import jensenshannon
from scipy.stats import kruskal, spearmanr

from lib.base import config, workers
from lib.data.own import rows as own_rows
from lib.evaluation import bias, search
from lib.evaluation import synthetic as synthetic_rankings
from lib.evaluation.synthetic import GOOD, LANGUAGES, Kind
from lib.evidence import tables
from lib.figures import languages as figures_languages
from lib.figures import style
from lib.runs import cells, records
from lib.runs import plan as grid
from lib.show import bias_views


def ranks_table(queries: dict[tuple[int, str], dict[str, int]]) -> pd.DataFrame:
    """Of each (question, query language) the pool ranks by passage language."""
    rows = [(*query, language, 1, rank) for query, found in queries.items() for language, rank in found.items()]
    return pd.DataFrame(rows, columns=["question", "query_language", "passage_language", "rank", "pool_rank"])


def random_ranks(questions: int, languages: list[str], seed: int = 0) -> pd.DataFrame:
    """Every question in every language, its relevant passages at different random places."""
    draw = np.random.default_rng(seed)
    return ranks_table({
        (n, asked): dict(zip(languages, map(int, draw.choice(500, len(languages), False) + 1), strict=True))
        for n in range(questions) for asked in languages
    })  # fmt: skip


# --- by hand ---

BY_HAND = ranks_table({(0, "de"): {"de": 1, "en": 3}, (0, "en"): {"de": 200, "en": 7}, (1, "en"): {"en": 12}})


def test_what_each_query_says_by_hand():
    found = bias.per_query(BY_HAND)
    assert list(found.index) == [(0, "de"), (0, "en"), (1, "en")]
    assert found["rank_distance"].tolist() == [2, 193, 0]
    assert found["max_rank"].tolist() == [3, 200, 12]
    assert found["complete@10"].tolist() == [1, 0, 0]
    assert found["complete@100"].tolist() == [1, 0, 1]
    assert found["own_first"].tolist() == [1, 1, 1]
    assert found["map"].tolist() == pytest.approx([(1 + 2 / 3) / 2, (1 / 7 + 2 / 200) / 2, 1 / 12])
    assert found["rank_correlation"].tolist() == pytest.approx([-1, -1, np.nan], nan_ok=True)


def test_means_weigh_each_query_language_alike():
    found = bias.measures(BY_HAND).set_index("measure")["value"]
    assert found["rank_distance"] == (2 + (193 + 0) / 2) / 2
    assert found["complete@100"] == (1 + 1 / 2) / 2
    assert found["rank_correlation"] == -1  # a query without one does not count


def test_awrf_by_hand():
    shares = np.array([1, 1 / 2]) / 1.5  # ranks 1 and 3
    middle = (shares + 1 / 2) / 2
    divergence = (shares * np.log2(shares / middle) + 1 / 2 * np.log2(1 / 2 / middle)).sum() / 2
    assert bias.awrf(BY_HAND)[0, "de"] == pytest.approx(1 - divergence)
    assert bias.awrf(BY_HAND)[1, "en"] == 1  # one language has all of its share


def test_two_passages_of_a_language_add_up_their_attention():
    attention = [1 + 1 / np.log2(4), 1 / np.log2(3)]
    ranks = pd.concat([ranks_table({(0, "de"): {"de": 1, "en": 2}}), ranks_table({(0, "de"): {"de": 3}})])
    expected = 1 - jensenshannon(attention, [1, 1], base=2) ** 2
    assert bias.awrf(ranks.reset_index(drop=True)).item() == pytest.approx(expected)


def test_complete_says_nothing_of_a_query_that_has_more_answers_than_places():
    found = bias.per_query(ranks_table({(0, "l0"): {f"l{n}": n + 1 for n in range(11)}}))
    assert found["complete@10"].isna().all() and (found["complete@100"] == 1).all()
    assert "complete@10" not in set(bias.measures(random_ranks(3, [f"l{n}" for n in range(11)]))["measure"])


def test_answers_of_a_question_are_matched_by_what_they_are_where_its_languages_have_different_ones(tmp_path):
    asked = [("wo?", "where?"), ("wo?", "where then?"), ("wo denn?", "where?")]
    rows = [
        {"id": str(n), "q": dict(zip(("de", "en"), words, strict=True)), "p": {"de": f"da {n}", "en": f"there {n}"}}
        for n, words in enumerate(asked)
    ]
    found = own_rows.evaluation("mine", rows)  # of question 0, rows 0 and 1 are right in German, 0 and 2 in English
    vectors = np.random.default_rng(0).normal(size=(2, 40, 4)).astype(np.float32)
    ranks = search.rank(vectors[0, : len(found.queries)], vectors[1, : len(found.passages)], found).ranks
    first = ranks[ranks["question"] == 0]
    docids = found.passages["docid"].to_numpy()[first["passage"]]
    assert docids.tolist() == ["de-000000", "de-000001", "en-000000", "en-000001",
                               "de-000000", "de-000002", "en-000000", "en-000002"]  # fmt: skip
    assert bias.rank_correlation(ranks)[0].isna().all()
    assert bias.rank_correlation(ranks.drop(columns="passage"))[0].notna().all()  # of nothing
    other = first.drop(columns="passage").assign(dataset="other")
    records.write_ranks(pd.concat([ranks.assign(dataset="mine"), other]), tmp_path / "ranks")
    kept = pd.read_parquet(tmp_path / "ranks")
    assert kept["passage"].tolist() == [*ranks["passage"], *[-1] * len(first)]
    alike = [row | {"q": {"de": f"wo {row['id']}?", "en": f"where {row['id']}?"}} for row in rows]
    found = own_rows.evaluation("mine", alike)
    ranks = search.rank(vectors[0, : len(found.queries)], vectors[1, : len(found.passages)], found).ranks
    assert "passage" not in ranks


def test_own_language_first_needs_an_answer_in_the_own_language():
    ranks = ranks_table({(0, "de"): {"de": 2, "en": 1}, (0, "zh"): {"de": 2, "en": 1}, (0, "en"): {"de": 2, "en": 1}})
    assert bias.own_first(ranks).to_dict() == {
        (0, "de"): 0,
        (0, "en"): 1,
        (0, "zh"): pytest.approx(np.nan, nan_ok=True),
    }


def test_who_is_hurt_is_the_median_of_each_pair():
    ranks = ranks_table({(n, "de"): {"de": 1, "en": rank} for n, rank in enumerate([5, 90, 400])})
    found = bias.who_is_hurt(ranks)
    assert found.loc["de"].to_dict() == {"de": 1, "en": 90}


def test_share_distance_by_hand():
    pool = pd.Series(["de"] * 30 + ["en"] * 10)
    top = bias.top_shares(np.array([[30, 10], [0, 40]]), ["de", "en"], pool)
    assert bias.share_distance(top) == pytest.approx((0 + 0.75) / 2)


# --- by other people's formulas ---


@settings(max_examples=30, deadline=None)
@given(languages=st.integers(2, 6), seed=st.integers(0, 1_000))
def test_awrf_and_rank_correlation_are_those_of_scipy(languages, seed):
    names = [f"l{n}" for n in range(languages)]
    ranks = random_ranks(2, names, seed)
    fairness, correlation = bias.awrf(ranks), bias.rank_correlation(ranks)
    matrix = ranks.pivot(index=bias.QUERY, columns="passage_language", values="pool_rank")
    for (question, asked), row in matrix.iterrows():
        attention = 1 / np.log2(1 + row.to_numpy())
        expected = 1 - jensenshannon(attention, np.ones(languages), base=2) ** 2
        assert fairness[question, asked] == pytest.approx(expected)
        others = [spearmanr(row, matrix.loc[(question, other)]).statistic for other in names if other != asked]
        assert correlation[question, asked] == pytest.approx(np.mean(others))


def test_measures_do_not_depend_on_the_order_of_the_rows():
    ranks = random_ranks(20, LANGUAGES)
    shuffled = ranks.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(bias.per_query(shuffled), bias.per_query(ranks))


def test_peer_says_the_same_whatever_the_ranks_are():
    assert kruskal([1], [2]).pvalue == kruskal([1], [100]).pvalue == pytest.approx(0.3173, abs=1e-4)
    near = {f"l{n:02}": n + 1 for n in range(11)}
    far = {f"l{n:02}": 10 ** (n % 5) * (n + 1) for n in range(11)}
    found = [synthetic_rankings.peer(ranks_table({(0, "l00"): ranks})) for ranks in (near, far)]
    assert found == pytest.approx([0.4405, 0.4405], abs=1e-4)


def test_a_table_as_large_as_that_of_xquad_r_takes_less_than_two_seconds():
    languages = [f"l{n:02}" for n in range(11)]
    asked, question, passage = (axis.ravel() for axis in np.indices((11, 1190, 11)))
    pool_rank = np.random.default_rng(0).integers(1, 13_000, asked.size)
    columns = {"question": question, "query_language": np.array(languages)[asked]}
    ranks = pd.DataFrame({**columns, "passage_language": np.array(languages)[passage], "pool_rank": pool_rank})
    started = time.process_time()
    bias.measures(ranks)
    bias.who_is_hurt(ranks)
    assert len(ranks) == 143_990 and time.process_time() - started < 2


# --- rankings of known bias ---


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return synthetic_rankings.panel()


BLIND, OWN, ENGLISH = "good, blind", "own language before all others", "English before all others"
POOR, LEANS, THAI = "bad, blind", "good, leans to its own language", "Thai after all others"
PERFECT, PERFECT_OWN = "perfect, blind to language", "perfect, own language first among the answers"


def test_synthetic_rankings_are_what_their_names_say():
    found = {name: synthetic_rankings.ranking(kind).ranks for name, kind in synthetic_rankings.RANKINGS.items()}
    for ranks in found.values():
        assert (ranks["rank"] <= ranks["pool_rank"]).all() and ranks["pool_rank"].between(1, 500).all()
        assert not ranks.duplicated([*bias.QUERY, "pool_rank"]).any()
    own = found[OWN]["query_language"] == found[OWN]["passage_language"]
    assert ((found[OWN]["pool_rank"] <= 100) == own).all()  # each language has 100 passages
    assert ((found[ENGLISH]["pool_rank"] <= 100) == (found[ENGLISH]["passage_language"] == "en")).all()
    assert ((found[THAI]["pool_rank"] > 400) == (found[THAI]["passage_language"] == "th")).all()
    assert max(found[PERFECT]["pool_rank"]) == max(found[PERFECT_OWN]["pool_rank"]) == 5


def test_bias_alone_worsens_every_measure_that_can_see_it(panel):
    """Equal content, and a preference for the own language that grows: leaning, then absolute."""
    for measure in ("rank_distance", "max_rank", "own_first", "own_share", "share_distance"):
        assert panel.loc[BLIND, measure] < panel.loc[LEANS, measure] < panel.loc[OWN, measure], measure
    for measure in ("map", "complete@10", "complete@100", "awrf", "rank_correlation"):
        assert panel.loc[BLIND, measure] > panel.loc[LEANS, measure] > panel.loc[OWN, measure], measure


def test_rank_distance_punishes_a_bad_retriever_that_is_not_biased(panel):
    for measure in ("rank_distance", "max_rank"):
        assert panel.loc[POOR, measure] > 2 * panel.loc[OWN, measure]
        assert panel.loc[POOR, measure] > 2 * panel.loc[ENGLISH, measure]
    assert panel.loc[POOR, "awrf"] > panel.loc[OWN, "awrf"] + 0.05
    assert panel.loc[POOR, "share_distance"] < panel.loc[LEANS, "share_distance"] - 0.2


def test_only_preference_for_the_own_language_moves_the_measures_of_the_own_language(panel):
    for measure in ("own_first", "own_share"):
        assert panel.loc[[BLIND, POOR, ENGLISH, THAI], measure].to_numpy() == pytest.approx(0.2, abs=0.05)
        assert panel.loc[[LEANS, PERFECT_OWN, OWN], measure].min() >= 0.6
    assert panel.loc[ENGLISH, "share_distance"] == pytest.approx(0.8)  # English is 20% of the pool and 100% of the top


def test_rank_correlation_praises_a_bias_that_all_query_languages_share(panel):
    assert panel.loc[[ENGLISH, THAI], "rank_correlation"].min() > panel.loc[BLIND, "rank_correlation"] + 0.2


def test_one_buried_language_is_seen_by_the_worst_placed_answer_not_by_the_own_language(panel):
    assert panel.loc[THAI, "rank_distance"] == panel["rank_distance"].max()
    assert panel.loc[THAI, "complete@100"] == 0
    hurt = bias.who_is_hurt(synthetic_rankings.ranking(synthetic_rankings.RANKINGS[THAI]).ranks)
    assert (hurt["th"] > 400).all() and (hurt.drop(columns="th") < 100).all(axis=None)


def test_among_right_answers_alone_only_the_own_language_and_the_correlation_see_an_order(panel):
    blind, own = panel.loc[PERFECT], panel.loc[PERFECT_OWN]
    same = ["map", "rank_distance", "max_rank", "complete@10", "complete@100", "awrf", "peer"]
    assert blind[same].tolist() == pytest.approx(own[same].tolist())
    assert own["own_first"] == 1 and blind["own_first"] < 0.3
    assert own["rank_correlation"] < blind["rank_correlation"] - 0.2


def test_peer_is_the_same_number_for_all_rankings(panel):
    assert panel["peer"].nunique() == 1


def test_the_same_seed_gives_the_same_panel_and_another_one_a_similar_one(panel):
    pd.testing.assert_frame_equal(panel, synthetic_rankings.panel())
    other = synthetic_rankings.panel(seed=1)
    assert not other.equals(panel)
    assert (other["rank_distance"] - panel["rank_distance"]).abs().max() < 0.2 * panel["rank_distance"].max()


# --- tables and figures of a run ---

STRENGTH = {"none": 3.0, "x-x-mono": 1.0, "x-y": 0.0, "hybrid": 0.6}


@pytest.fixture
def run(tmp_path, monkeypatch) -> config.Run:
    """A run of `default` whose strategies differ in how far they lean to the query's language."""
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    monkeypatch.setattr(tables, "digest", lambda run: "0123456789abcdef")
    monkeypatch.setattr(tables, "source", lambda run: "cells 0123456789abcdef")
    found = {name: synthetic_rankings.ranking(Kind(GOOD, own)) for name, own in STRENGTH.items()}
    run = config.load("quick", ["encoder=static"])
    run.folder.mkdir(parents=True)
    pool, top = pd.Series(LANGUAGES), []

    def ranks(run, cell):
        sets = grid.evaluated(cell, run.config)
        return pd.concat([found[cell.strategy].ranks.assign(dataset=name) for name in sets], ignore_index=True)

    monkeypatch.setattr(cells, "of", lambda run: grid.plan(run.config))
    monkeypatch.setattr(cells, "ranks", ranks)
    monkeypatch.setattr(workers, "COUNT", 1)  # another process would not know of what stands in for the ranks here
    for cell in grid.plan(run.config):
        for dataset in grid.evaluated(cell, run.config):
            shares = bias.top_shares(found[cell.strategy].top, LANGUAGES, pool)
            top.append(shares.assign(**cell.columns(), dataset=dataset))
    tables.save(run, "top10_languages.csv.bz2", pd.concat(top))
    biased = list(tables.by_set(run, tables.bias_of))
    tables.save(run, "bias.csv.bz2", tables.bias_measures(biased, tables.read(run, "top10_languages.csv.bz2")))
    tables.save(run, "who_is_hurt.csv.bz2", tables.who_is_hurt(biased))
    return run


def test_the_panel_holds_every_measure_of_every_cell(run):
    table = bias_views.panel(run)
    names = {"none": "none", "x-x-mono": "x-x-mono", "x-y": "x-y", "hybrid": "hybrid 0.5"}
    assert len(table) == 2 * len(names) and not table.isna().any(axis=None)
    for strategy, own in STRENGTH.items():
        found = synthetic_rankings.ranking(Kind(GOOD, own))
        train = "none" if strategy == "none" else "mlqa-r"
        row = table.loc[("xquad-r", train, names[strategy])]
        for measure, value in bias.measures(found.ranks).itertuples(index=False):
            assert row[bias_views.LABELS[measure]] == pytest.approx(value, abs=1e-6), measure
        own_share = np.trace(found.top) / found.top.sum()
        assert row[bias_views.LABELS["own_share"]] == pytest.approx(own_share, abs=1e-6)


def test_sets_without_answers_in_several_languages_are_left_out(run, monkeypatch):
    both = cells.ranks

    def without_mlqa(run, cell):
        table = both(run, cell)
        same = table["query_language"] == table["passage_language"]
        return table[same | (table["dataset"] != "mlqa-r")]

    monkeypatch.setattr(cells, "ranks", without_mlqa)
    biased = list(tables.by_set(run, tables.bias_of))
    others = [each for each in biased if each[1] == "mlqa-r"]
    top = tables.read(run, "top10_languages.csv.bz2")
    for table in (lambda found: tables.bias_measures(found, top), tables.who_is_hurt):
        assert set(table(biased)["dataset"]) == {"xquad-r"}
        assert list(table(others).columns) == list(table(biased).columns) and table(others).empty


def test_the_gaps_are_those_of_parallel_sets_each_alpha_by_itself(run):
    values = {("de", "de"): 0.8, ("en", "en"): 0.6, ("de", "en"): 0.5, ("en", "de"): 0.3}
    rows = [
        ["static", "mlqa-r", "hybrid", alpha, 0, dataset, "pool", setting, *pair, "map", value + alpha, 7]
        for dataset, alpha in (("xquad-r", 0.0), ("xquad-r", 0.1), ("miracl-mini", 0.0))
        for pair, value in values.items()
        for setting in ("monolingual" if pair[0] == pair[1] else "cross-lingual",)
        if setting == "monolingual" or dataset == "xquad-r"
    ]
    pairs = ["query_language", "passage_language"]
    tables.save(run, "metrics_by_language.csv.bz2", pd.DataFrame(rows, columns=[*tables.KEYS, *pairs, *tables.VALUES]))
    found = bias_views.gaps(run)
    assert list(found.index) == [("xquad-r", "mlqa-r", "hybrid 0"), ("xquad-r", "mlqa-r", "hybrid 0.1")]
    assert list(found.columns) == [
        "worst language, monolingual", "worst language, cross-lingual", "monolingual - cross-lingual"
    ]  # fmt: skip
    assert found.to_numpy() == pytest.approx(np.array([[0.6, 0.3, 0.3], [0.7, 0.4, 0.3]]))


def test_the_heat_map_shows_queries_in_rows_and_passages_in_columns(run):
    figure = figures_languages.who_is_hurt(run)
    expected = bias.who_is_hurt(synthetic_rankings.ranking(Kind(GOOD, STRENGTH["none"])).ranks)
    assert not np.allclose(expected, expected.T)
    first = figure.subfigs[0].axes[0]
    assert first.get_title(loc="left") == f"no fine-tuning: up to {expected.max(axis=None):,.0f}"
    drawn = np.asarray(first.collections[0].get_array()).reshape(5, 5)
    np.testing.assert_allclose(drawn, expected.loc[LANGUAGES, LANGUAGES])
    assert (first.get_ylabel(), first.get_xlabel()) == ("query language", "passage language")


def test_nothing_is_clipped_or_too_small(run):
    several = replace(run, config=replace(run.config, seeds=(0, 1, 2)))
    figure = figures_languages.who_is_hurt(several)
    with style.house():
        figure.draw_without_rendering()
    assert all(text.get_fontsize() >= 8 for text in figure.findobj(Text) if text.get_text())
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height
    shown = "\n".join(text.get_text() for text in figure.findobj(Text))
    assert f"Run {run.name} · encoder static · cells 0123456789abcdef" in shown


def test_the_synthetic_table_is_shaded_where_a_measure_sees_something():
    table = bias_views.synthetic()
    html = table.to_html()
    assert html == bias_views.synthetic().to_html()
    assert repr(table) == repr(bias_views.synthetic()) == repr(table.data)  # no address, which each run has its own
    colours = table._compute().ctx
    column, row = list(table.columns).index, list(table.index).index
    assert "0.65" in str(colours[row(THAI), column("rank distance ↓")])
    assert "0.65" in str(colours[row(OWN), column("AWRF ↑")])
    assert not colours.get((row(THAI), column("PEER")))


def test_no_correlation_is_made_up_where_a_question_has_other_answers_in_another_language():
    alike = ranks_table({(0, x): {"de": 1, "en": 5, "fr": 9} for x in ("de", "en")})
    assert bias.rank_correlation(alike).tolist() == pytest.approx([1, 1])
    more = pd.concat([alike, alike[alike["query_language"] == "en"].assign(pool_rank=20, rank=20)], ignore_index=True)
    assert bias.rank_correlation(more).isna().all()
