"""The paper's numbers beside ours, cell by cell: tables 1 to 8.

Encoders and training differ, so values are not expected to agree. What can agree is the direction of a difference
between strategies, and their order. The MIRACL tables (12, 13) are left out: our pool is another.
"""

from itertools import permutations

import numpy as np
import pandas as pd

from ...base import paths
from ...base.config import Run
from .. import selection, tables

TABLES = range(1, 9)
GROUP = ["table", "paper_encoder", "dataset", "setting", "metric", "language"]
COLUMNS = [*GROUP, "strategy", "paper", "encoder", "train", "seeds", "ours", "difference", "direction", "order", "note"]
AGREE, DIFFER, NOT_RUN = "agrees", "differs", "not run here"
ALL, VALUES = ["hybrid", "x-x-mono", "x-y"], ("paper", "ours")
TIE = {"map": 0.002, "recall@1": 0.002, "recall@10": 0.002}  # rank distances: 1%


def table(run: Run) -> pd.DataFrame:
    """One row a cell of the paper and encoder: its value, ours (mean over seeds, alpha .5), and whether they agree.

    ``direction``: whether the difference from hybrid to this strategy has the paper's sign (hybrid: whether its place
    among the three is the paper's). ``order``: whether all three stand in the paper's order. Differences within .002,
    or 1% of a rank distance, are ties. Ours were trained on the other of the two benchmarks.
    """
    paper = pd.read_csv(paths.PUBLISHED / "results.csv", keep_default_na=False, na_values=[""])
    paper = paper[paper["table"].isin(TABLES)].rename(columns={"encoder": "paper_encoder", "value": "paper"})
    every = ours(run)
    parts = []
    for encoder in run.config.encoder:
        own = every[every["encoder"] == encoder].drop(columns="encoder")
        found = paper.merge(own, how="left", on=["dataset", "setting", "metric", "language", "strategy"])
        found = found.assign(encoder=encoder, difference=found["ours"] - found["paper"])
        parts.append(_compared(found.astype({"seeds": "Int64"})))
    return pd.concat(parts)[COLUMNS]


def ours(run: Run) -> pd.DataFrame:
    """Our value for each row that the paper has: by query language, and the mean over them."""
    table = tables.read(run, "metrics_by_language.csv.bz2")
    table = selection.paired(table[(table["strategy"] != "hybrid") | (table["alpha"] == 0.5)])
    table = table[table["train"] == table["dataset"].map(selection.OTHER)]
    keys = ["encoder", "dataset", "train", "setting", "metric", "strategy"]
    by_seed = table.groupby([*keys, "query_language", "seed"])["value"].mean()
    by_language = by_seed.groupby([*keys, "query_language"]).agg(["mean", "size"]).reset_index()
    by_language = by_language.rename(columns={"query_language": "language", "mean": "ours", "size": "seeds"})
    mean = by_language.groupby(keys).agg(ours=("ours", "mean"), seeds=("seeds", "min")).reset_index()
    return pd.concat([by_language, mean.assign(language="mean")], ignore_index=True)


def summary(ledger: pd.DataFrame) -> pd.DataFrame:
    """How often direction and order agree, by encoder, the paper's encoder, test set, setting and measure."""
    kept = ledger[ledger["direction"] != NOT_RUN]
    keys = [*selection.several(kept), "paper_encoder", "dataset", "setting", "metric"]
    same = kept.assign(direction=kept["direction"] == AGREE, order=kept["order"] == AGREE)
    agree = same[same["strategy"] != "hybrid"].groupby(keys, sort=False)["direction"].agg(["sum", "size"])
    order = same[same["strategy"] == "hybrid"].groupby(keys, sort=False)["order"].agg(["sum", "size"])
    named = {"directions that agree": agree["sum"], "of": agree["size"]}
    return pd.DataFrame(named | {"orders that agree": order["sum"], "of groups": order["size"]})


def by_chance(ledger: pd.DataFrame) -> tuple[float, float]:
    """How many directions and orders would agree if our three values of each group stood in any order: the mean."""
    kept = ledger[ledger["direction"] != NOT_RUN]
    wide = kept.pivot(index=GROUP, columns="strategy", values=["paper", "ours"])
    metric = wide.index.get_level_values("metric").to_numpy()
    paper, own = (wide[column][ALL].to_numpy() for column in VALUES)
    theirs, directions, orders = _all_signs(paper, metric), [], []
    for order in permutations(range(3)):
        same = theirs == _all_signs(own[:, order], metric)
        directions.append(same[:, 0, 1:].sum())
        orders.append(same.all(axis=(1, 2)).sum())
    return float(np.mean(directions)), float(np.mean(orders))


def _compared(found: pd.DataFrame) -> pd.DataFrame:
    """Direction and order of the strategies of each group, whose rows come together."""
    group = found.groupby(GROUP, sort=False).ngroup().to_numpy()
    paper, ours = (found.pivot_table(index=group, columns="strategy", values=c, dropna=False)[ALL] for c in VALUES)
    metric = found["metric"].to_numpy()[np.unique(group, return_index=True)[1]]
    theirs, own = _all_signs(paper.to_numpy(), metric), _all_signs(ours.fillna(0.0).to_numpy(), metric)
    same = theirs == own
    agrees = same[:, 0].copy()  # of the pair of hybrid, the first of ALL, and each
    agrees[:, 0] = (theirs[:, 0] > 0).sum(axis=1) == (own[:, 0] > 0).sum(axis=1)
    there = ours.notna().all(axis=1).to_numpy()[group]
    place = found["strategy"].map(ALL.index).to_numpy()
    direction = np.where(there, np.where(agrees[group, place], AGREE, DIFFER), NOT_RUN)
    order = np.where(there, np.where(same.all(axis=(1, 2))[group], AGREE, DIFFER), NOT_RUN)
    return found.assign(direction=direction, order=order).iloc[np.argsort(group, kind="stable")]


def _all_signs(values: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """Whether each strategy is better than each other, 1, worse, -1, or tied, 0; of rank distances less is better.

    Of float [groups, strategies], each group of one metric: int [groups, strategies, strategies].
    """
    difference = values[:, :, None] - values[:, None, :]
    tie = np.array([TIE.get(name, np.nan) for name in metric])
    tie = np.where(np.isnan(tie), 0.01 * values.min(axis=1), tie)[:, None, None]
    signs = np.where(np.abs(difference) <= tie + 1e-12, 0, np.sign(difference)).astype(int)
    return np.where(np.isin(metric, list(TIE))[:, None, None], signs, -signs)
