"""Which rows of the tables figures and verdicts compare, and in which order: strategies, pairs of sets, languages."""

from collections.abc import Iterable, Mapping

import pandas as pd

from ..data.sets import LANGUAGES, ParallelSet
from ..training.strategies import STRATEGIES
from . import effects

COMPARED = ("none", "x-x-mono", "x-y", "hybrid")  # strategies of the paper, and no fine-tuning
BENCHMARKS = ("xquad-r", "mlqa-r")
OTHER = dict(zip(BENCHMARKS, BENCHMARKS[::-1], strict=True))
FOREIGN = ("mmarco", "parallel-docs")  # what can be had of the paper's own training data, and what stands in for it
PARTS = ("-heldout", "-new")
Task = tuple[str, str]  # trained on, scored on


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the strategies as compared in figures: of several hybrids the one with alpha nearest to .5.

    Of seeds those that all strategies have (see `paired`).
    """
    hybrid = table["strategy"] == "hybrid"
    return paired(table[~hybrid | (table["alpha"] == effects.middle(table.loc[hybrid, "alpha"]))])


def paired(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of those seeds that all strategies and alphas have after the same training, scored on the same set.

    Means over seeds compare like with like then, as the intervals do, also while some seeds are still to be run.
    """
    task = [name for name in ("encoder", "train", "dataset") if name in table]
    trained = table["seed"].notna()
    labels = table["strategy"] + table["alpha"].map(str)
    keys = [table.loc[trained, name] for name in (*task, "seed")]
    having = labels[trained].groupby(keys).transform("nunique")
    most = labels[trained].groupby(keys[:-1] or (lambda row: 0)).transform("nunique")
    return table[~trained | (having == most).reindex(table.index, fill_value=False)]


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """The main table of the rows of ``metrics.csv``; with the encoder in front where there are several."""
    chosen = metrics[metrics["metric"].isin(["map", "rank_distance"])].assign(strategy=labels)
    chosen = chosen.assign(column=chosen["setting"].where(chosen["metric"] == "map", "rank distance"))
    order = ["monolingual", "cross-lingual", "multilingual", "rank distance"]
    keys = [*several(chosen), "dataset", "train", "strategy"]
    table = chosen.pivot_table(index=keys, columns="column", values="value", aggfunc="mean", sort=False)
    return table[[name for name in order if name in table]].rename_axis(columns=None)


def several(table: pd.DataFrame) -> list[str]:
    """The column that tells encoders apart, if there are several: a key of every mean, which never goes over them."""
    return ["encoder"] if table["encoder"].nunique() > 1 else []


def labels(table: pd.DataFrame) -> pd.Series:
    """The strategy of each row as people read it, hybrid with its alpha: ``hybrid 0.5``."""
    return table["strategy"].where(table["strategy"] != "hybrid", "hybrid " + table["alpha"].map("{:.12g}".format))


def tasks(table: pd.DataFrame) -> list[Task]:
    """Each (trained on, scored on) of a table, parts of a set left out that only serve the domain shift.

    Where nothing but such parts was scored, as in a run on a file of one's own alone, they are what is shown.
    """
    is_part = table["dataset"].str.endswith(PARTS)
    foreign = table if is_part.all() else table[~is_part]
    trained = foreign[foreign["train"] != "none"]
    pairs = (trained if len(trained) else foreign)[["train", "dataset"]].drop_duplicates()
    return sorted(pairs.itertuples(index=False, name=None), key=lambda pair: list(foreign["dataset"]).index(pair[1]))


def judged_on(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of comparisons those that decide, after training on a foreign set if there are any; and those that stand beside.

    With several foreign sets the first of ``FOREIGN`` decides; the others are left out.
    """
    foreign = next((name for name in FOREIGN if name in set(rows["train"])), None)
    swapped = rows["train"].isin(BENCHMARKS)
    return (rows[rows["train"] == foreign], rows[swapped]) if foreign else (rows[swapped], rows[:0])


def of_task(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows of a task, and those of no fine-tuning on the same test."""
    return table[(table["dataset"] == task[1]) & table["train"].isin([task[0], "none"])]


def by_task(table: pd.DataFrame) -> dict[Task, pd.DataFrame]:
    """The rows of each task (see `of_task`)."""
    return {task: of_task(table, task) for task in tasks(table)}


def by_strategy(table: pd.DataFrame, value: str = "value") -> dict[str, float]:
    """Mean of ``value`` for each strategy (over seeds, and whatever else the table holds), in the house's order."""
    means = table.groupby("strategy")[value].mean()
    return {name: float(means[name]) for name in STRATEGIES if name in means}


def leaders(values: Mapping[str, float]) -> list[str]:
    """The names of the highest value, and of those within the .01 mAP that count as equal."""
    best = max(values.values())
    return [name for name, value in values.items() if best - value <= effects.MARGIN + 1e-12]


def language_matrices(table: pd.DataFrame) -> dict[Task, tuple[pd.DataFrame, pd.DataFrame]]:
    """mAP in single-language pools of x-x-mono and of hybrid, for the tasks that have both and several languages.

    Rows are query languages, columns passage languages.
    """
    rows = chosen(table[(table["metric"] == "map") & (table["setting"] != "multilingual")])
    sides, found = ("x-x-mono", "hybrid"), {}
    for task in tasks(rows[rows["setting"] == "cross-lingual"]):
        part = of_task(rows, task)
        languages = ordered({*part["query_language"], *part["passage_language"]})
        if set(sides) <= set(part["strategy"]):
            means = part.groupby(["strategy", "query_language", "passage_language"])["value"].mean()
            mono, hybrid = (means[name].unstack().reindex(languages, columns=languages) for name in sides)
            found[task] = mono, hybrid
    return found


def ordered(languages: Iterable[str]) -> list[str]:
    """Languages in the order of every table and figure: the 11 of XQuAD-R, then others."""
    return sorted(languages, key=lambda x: (LANGUAGES.index(x) if x in LANGUAGES else len(LANGUAGES), x))


def few(steps: int) -> int:
    """How many steps a loss is averaged over, at the start and at the end: 10, of short trainings up to half."""
    return max(1, min(10, steps // 2))


def broken(log: pd.DataFrame) -> int:
    """How many batches of a log of hybrid trainings do not hold what their kind promises."""
    pairs = _by_pair(log[["kind", "languages"]].reset_index(names="batch"))
    pairs = pairs.assign(same=pairs["query"] == pairs["passage"])
    each = pairs.groupby("batch").agg(kind=("kind", "first"), same=("same", "sum"), n=("same", "size"))
    right = ((each["kind"] == "mono") & (each["same"] == 1) & (each["n"] == 1)) | (
        (each["kind"] == "cross") & (each["same"] == 0)
    )
    return int((~right).sum())


def pairs_of_steps(log: pd.DataFrame) -> pd.DataFrame:
    """The batches of a log, ``ar>en:2 de>de:1``, as rows ``train, strategy, seed, step, query, passage, pairs``."""
    return _by_pair(chosen(log)[["train", "strategy", "seed", "step", "languages"]]).astype({"pairs": int})


def _by_pair(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of batches as one row for each pair of languages in them: ``query, passage, pairs`` for ``languages``."""
    table = table.assign(languages=table["languages"].str.split()).explode("languages", ignore_index=True)
    parts = table["languages"].str.extract(r"(?P<query>.+)>(?P<passage>.+):(?P<pairs>\d+)")
    return table.drop(columns="languages").join(parts)


def languages_of_questions(data: ParallelSet) -> pd.Series:
    """How many questions are asked in 1, 2, ... languages: index languages, value questions."""
    return pd.Series((data.query_rows >= 0).sum(axis=1)).value_counts().sort_index()
