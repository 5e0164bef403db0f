"""Numbers as people read them, and which way of a measure is better."""

import pytest

from lib.evaluation import bias, metrics
from lib.evaluation.measures import LOWER_IS_BETTER, MEASURES, number


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.5648, {}, ".565"),
        (0.012, {"sign": True}, "+.012"),
        (-0.0321, {"sign": True}, "−.032"),
        (0.9996, {}, "1.000"),
        (-1.25, {}, "−1.250"),
        (0.00052, {"sign": True, "places": 4}, "+.0005"),
    ],
)
def test_a_share_is_written_as_the_paper_writes_map(value, options, text):
    assert number(value, **options) == text


def test_a_measure_writes_its_own_numbers_and_says_which_way_is_better():
    assert MEASURES["map"].text(0.5648) == ".565" and MEASURES["map"].heading == "mAP ↑"
    assert MEASURES["rank_distance"].text(1217.4) == "1,217" and MEASURES["rank_distance"].heading == "rank distance ↓"


def test_what_grows_with_bias_is_better_low():
    assert set(LOWER_IS_BETTER) == {"rank_distance", "max_rank", "own_first", "own_share", "share_distance"}


def test_every_measure_of_a_table_of_bias_has_its_row():
    import pandas as pd

    pairs = [(query, passage) for query in ("de", "en") for passage in ("de", "en")]
    ranks = pd.DataFrame(
        [(n, *pair, 1 + place, 1 + 2 * place) for n in range(3) for place, pair in enumerate(pairs)],
        columns=["question", "query_language", "passage_language", "rank", "pool_rank"],
    )
    assert set(bias.per_query(ranks).columns) <= set(MEASURES)
    assert {"map", "rank_distance", "max_rank"} <= set(metrics.COMPUTED) & set(MEASURES)
