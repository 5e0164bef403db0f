"""Tables of language bias: each measure for each cell of a run, and the synthetic rankings."""

import pandas as pd

from ..base import store as artifacts
from ..base.config import Run
from ..evaluation import bias, measures
from ..evaluation import synthetic as synthetic_rankings
from ..evidence import selection, tables
from .views import Styled, by_strategy

LABELS = {name: measure.heading for name, measure in measures.MEASURES.items()} | {"peer": "PEER"}


def gaps(run: Run) -> pd.DataFrame:
    """The worst language of each strategy, and what crossing languages costs (`bias.gap`), on each parallel set."""
    table = tables.read(run, "metrics_by_language.csv.bz2")
    table["strategy"] = selection.labels(table)
    parallel = table.loc[table["setting"] == "cross-lingual", "dataset"].unique()
    table = table[table["dataset"].isin(parallel)]
    keys = [*selection.several(table), "dataset", "train", "strategy"]
    by_strategy = table.groupby(keys, sort=False)[list(table.columns)]
    return by_strategy.apply(lambda part: bias.gap(part).set_index("measure")["value"]).rename_axis(columns=None)


def panel(run: Run) -> pd.DataFrame:
    """What each measure (columns) says of each strategy on the same rankings, means over seeds."""
    wide = by_strategy(tables.read(run, "bias.csv.bz2"), "measure")
    return wide[[name for name in LABELS if name in wide]].rename(columns=LABELS)


def synthetic() -> Styled:
    """The synthetic rankings, each measure shaded from its best value (white) to its worst."""
    table = synthetic_rankings.panel()
    table = table[[name for name in LABELS if name in table]]
    worse = (table - table.min()) / (table.max() - table.min())
    up = [name for name in table if name not in measures.LOWER_IS_BETTER]
    worse[up] = 1 - worse[up]
    colours = worse.map(lambda w: f"background-color: rgba(213, 94, 0, {0.65 * w:.2f})" if w == w else "")
    return (
        Styled(table.rename(columns=LABELS))
        .apply(lambda _: colours.rename(columns=LABELS), axis=None)
        .format(precision=2)
        .format(
            "{:.0f}", subset=[LABELS[name] for name, measure in measures.MEASURES.items() if measure.form == ",.0f"]
        )
        .format(precision=3, subset=[LABELS["awrf"]])
        .set_uuid(artifacts.digest(list(table.index))[:8])
    )
