"""Tables of language bias: each measure for each cell of a run, who does not see what, and the synthetic rankings."""

from collections.abc import Iterator

import pandas as pd

from lib import artifacts, bias, cells, synthetic_rankings, tables
from lib.config import Run
from lib.views import Styled

LABELS = {  # in the order of tables and figures
    "map": "mAP ↑",
    "rank_distance": "rank distance ↓",
    "max_rank": "max rank ↓",
    "complete@10": "complete@10 ↑",
    "complete@100": "complete@100 ↑",
    "awrf": "AWRF ↑",
    "rank_correlation": "rank correlation ↑",
    "own_first": "own language first ↓",
    "own_share": "own share of top 10 ↓",
    "share_distance": "top 10 from pool ↓",
    "peer": "PEER",
}
CELL = ["encoder", "train", "strategy", "alpha", "seed", "dataset"]
NUMBERS = {"alpha": float, "seed": float}  # empty for some rows


def measures(run: Run) -> pd.DataFrame:
    """Every measure of `lib.bias` for each finished cell and parallel set of a run.

    Returns:
        One row a number: ``encoder, train, strategy, alpha, seed, dataset, measure, value``.
    """
    ranked = pd.concat([bias.measures(ranks).assign(**cell) for cell, ranks in _parallel(run)]).astype(NUMBERS)
    top = tables.read(run, "top10_languages.csv")
    by_cell = top[top["dataset"].isin(ranked["dataset"])].groupby(CELL, sort=False, dropna=False)
    shares = {"own_share": bias.own_language_share, "share_distance": bias.share_distance}
    found = [
        by_cell[list(top.columns)].apply(measure).rename("value").reset_index().assign(measure=name)
        for name, measure in shares.items()
    ]
    return pd.concat([ranked, *found], ignore_index=True)[[*CELL, "measure", "value"]]


def who_is_hurt(run: Run) -> pd.DataFrame:
    """Median rank in the pool, by language of query and passage, for each finished cell and parallel set of a run.

    Returns:
        One row a pair: ``encoder, train, strategy, alpha, seed, dataset, query_language, passage_language, rank``.
    """
    found = [
        bias.who_is_hurt(ranks).stack().rename("rank").reset_index().assign(**cell) for cell, ranks in _parallel(run)
    ]
    return pd.concat(found, ignore_index=True)[[*CELL, "query_language", "passage_language", "rank"]].astype(NUMBERS)


def panel(run: Run) -> pd.DataFrame:
    """What each measure (columns) says of each strategy on the same rankings, means over seeds."""
    table = measures(run)
    table["strategy"] = tables.labels(table)
    wide = table.pivot_table(index=["dataset", "train", "strategy"], columns="measure", values="value", sort=False)
    return wide[[name for name in LABELS if name in wide]].rename(columns=LABELS).rename_axis(columns=None)


def synthetic() -> Styled:
    """The synthetic rankings, each measure shaded from its best value (white) to its worst."""
    table = synthetic_rankings.panel()
    table = table[[name for name in LABELS if name in table]]
    worse = (table - table.min()) / (table.max() - table.min())
    up = [name for name in table if name not in bias.LOWER_IS_BETTER]
    worse[up] = 1 - worse[up]
    colours = worse.map(lambda w: f"background-color: rgba(213, 94, 0, {0.65 * w:.2f})" if w == w else "")
    return (
        Styled(table.rename(columns=LABELS))
        .apply(lambda _: colours.rename(columns=LABELS), axis=None)
        .format(precision=2)
        .format("{:.0f}", subset=[LABELS["rank_distance"], LABELS["max_rank"]])
        .format(precision=3, subset=[LABELS["awrf"]])
        .set_uuid(artifacts.digest(list(table.index))[:8])
    )


def _parallel(run: Run) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Each finished cell's sets that have answers in several languages: what identifies them, and their ranks."""
    for cell in cells.of(run):
        for dataset, ranks in cells.ranks(run, cell).groupby("dataset", sort=False, observed=True):
            if (ranks["query_language"] != ranks["passage_language"]).any():
                yield {**cell.columns(), "dataset": str(dataset)}, ranks
