"""What figures say: one sentence for each, its words picked by the numbers of the tables.

Values within a tolerance of each other are called about equal: .002 mAP, 1% of a rank distance.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import pandas as pd

from ..data.sets import LANGUAGES, ParallelSet
from ..evaluation import bias
from ..runs import names
from ..training.strategies import STRATEGIES
from . import tables, wording

EQUAL = 0.002
EQUAL_RANK = 0.01  # of the lower value
FEW = 2  # tasks that a sentence names one by one; of more it says in how many
COMPARED = ("none", "x-x-mono", "x-y", "hybrid")  # strategies of the paper, and no fine-tuning
PARTS = ("-heldout", "-new")
Task = tuple[str, str]  # trained on, scored on
Values = Mapping[str, float]  # by strategy


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the strategies as compared in figures: of several hybrids the one with alpha nearest to .5.

    Of seeds those that all strategies have (see `evidence.tables.paired`).
    """
    hybrid = table["strategy"] == "hybrid"
    alphas = sorted(table.loc[hybrid, "alpha"].unique(), key=lambda alpha: (abs(alpha - 0.5), alpha))
    return tables.paired(table[~hybrid | (table["alpha"] == alphas[0])] if alphas else table)


def tasks(table: pd.DataFrame) -> list[Task]:
    """Each (trained on, scored on) of a table, parts of a set left out that only serve the domain shift.

    Where nothing but such parts was scored, as in a run on a file of one's own alone, they are what is shown.
    """
    is_part = table["dataset"].str.endswith(PARTS)
    foreign = table if is_part.all() else table[~is_part]
    trained = foreign[foreign["train"] != "none"]
    pairs = (trained if len(trained) else foreign)[["train", "dataset"]].drop_duplicates()
    return sorted(pairs.itertuples(index=False, name=None), key=lambda pair: list(foreign["dataset"]).index(pair[1]))


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


def place(task: Task, among: Iterable[Task]) -> str:
    """The test's name, with the training set where several were used for it."""
    several = sum(other[1] == task[1] for other in among) > 1
    return names.name(task[1]) + (f" after training on {names.name(task[0])}" if several else "")


def equal_map(best: float) -> float:
    """How far from the best an mAP may be and still be called about equal."""
    return EQUAL


def equal_rank(best: float) -> float:
    """The same for a rank distance."""
    return EQUAL_RANK * best


def leaders(values: Values, lowest: bool = False, equal: Callable[[float], float] = equal_map) -> list[str]:
    """The best strategies: the first, and those that are about equal to it."""
    best = min(values.values()) if lowest else max(values.values())
    return [name for name, value in values.items() if abs(value - best) <= equal(best) + 1e-12]


def counted(found: Collection[Task]) -> str:
    """``4 pairs of sets``; ``4 sets`` where nothing was trained."""
    return f"{len(found)} {'pairs of ' * any(train != 'none' for train, _ in found)}sets"


def leading(what: str, found: Mapping[Task, Values], show: Callable[[float], str], lowest: bool = False) -> str:
    """Which strategies are best in each task: ``What is highest with hybrid batches on A (.56) and B (.47)``.

    Of many tasks, in how many: ``What is highest with hybrid batches in 3 and with x-y batches in 1 of 4 pairs of
    sets``.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for task, values in found.items():
        best = leaders(values, lowest, equal_rank if lowest else equal_map)
        numbers = ", ".join(show(values[name]) for name in best)
        groups.setdefault(tuple(best), []).append(f"{place(task, found)} ({numbers})")
    extreme = "lowest" if lowest else "highest"
    if len(found) > FEW:
        counts = wording.joined(f"{_with(names)} in {len(places)}" for names, places in groups.items())
        return f"{what} is {extreme} {counts} of {counted(found)}"
    parts = [f"{_with(names)} on {wording.joined(places)}" for names, places in groups.items()]
    return f"{what} is {extreme} {'; '.join(parts)}"


def effectiveness(table: pd.DataFrame) -> str:
    """The finding on mAP, from ``metrics.csv``; in the multilingual setting where there is one."""
    maps = chosen(table[table["metric"] == "map"])
    setting = "multilingual" if "multilingual" in set(maps["setting"]) else "monolingual"
    maps = maps[maps["setting"] == setting]
    found = {task: by_strategy(rows) for task, rows in by_task(maps).items()}
    sentence = leading(f"{setting.capitalize()} mAP", found, wording.number)
    gains = [v - values["none"] for values in found.values() if "none" in values for v in values.values()]
    trained = len(gains) - sum("none" in values for values in found.values())
    if not trained:
        return sentence
    lifted = sum(gain > EQUAL for gain in gains)
    some = f"{lifted} of {trained} fine-tunings lift it" if lifted else "no fine-tuning lifts it"
    return f"{sentence}; {'every fine-tuning lifts it' if lifted == trained else some}"


def rank_distance(table: pd.DataFrame) -> str:
    """The finding on rank distance, from ``metrics.csv``."""
    ranks = chosen(table[table["metric"] == "rank_distance"])
    found = {task: by_strategy(rows) for task, rows in by_task(ranks).items()}
    before = dict.fromkeys(
        f"{values['none']:,.0f} on {names.name(task[1])}"
        for task, values in found.items()
        if "none" in values and "none" not in leaders(values, True, equal_rank)
    )
    sentence = leading("Rank distance", found, "{:,.0f}".format, lowest=True)
    return f"{sentence}; without fine-tuning it is {wording.joined(before)}" if before else sentence


def language_pairs(table: pd.DataFrame) -> str:
    """The finding on hybrid minus x-x-mono by language pair, from ``metrics_by_language.csv.gz``."""
    across, within = {}, {}
    for task, (mono, hybrid) in language_matrices(table).items():
        difference = (hybrid - mono).to_numpy()
        same, known = np.eye(len(difference), dtype=bool), ~np.isnan(difference)
        across[task], within[task] = difference[~same & known], difference[same & known]
    what = (" cross-lingual pairs", " single languages")
    if len(across) > FEW:
        sides = [_wins(list(side.values()), words) for side, words in zip((across, within), what, strict=True)]
        return f"Hybrid batches beat x-x-mono in {wording.joined(sides)}, over {counted(across)}"
    sentences = []
    for task in across:
        pairs, single = what if not sentences else ("", "")
        sides = f"{_wins([across[task]], pairs)} and {_wins([within[task]], single)}"
        sentences.append(f"on {place(task, across)} in {sides}")
    return f"Hybrid batches beat x-x-mono {'; '.join(sentences)}"


def language_matrices(table: pd.DataFrame) -> dict[Task, tuple[pd.DataFrame, pd.DataFrame]]:
    """mAP in single-language pools of x-x-mono and of hybrid, for the tasks that have both and several languages.

    Rows are query languages, columns passage languages.
    """
    rows = chosen(table[(table["metric"] == "map") & (table["setting"] != "multilingual")])
    found = {}
    for task in tasks(rows[rows["setting"] == "cross-lingual"]):
        part = of_task(rows, task)
        languages = ordered({*part["query_language"], *part["passage_language"]})
        if {"x-x-mono", "hybrid"} <= set(part["strategy"]):
            means = part.groupby(["strategy", "query_language", "passage_language"])["value"].mean()
            mono, hybrid = means["x-x-mono"].unstack(), means["hybrid"].unstack()
            found[task] = (mono.reindex(languages, columns=languages), hybrid.reindex(languages, columns=languages))
    return found


def ordered(languages: Iterable[str]) -> list[str]:
    """Languages in the order of every table and figure: the 11 of XQuAD-R, then others."""
    return sorted(languages, key=lambda x: (LANGUAGES.index(x) if x in LANGUAGES else len(LANGUAGES), x))


def top_languages(table: pd.DataFrame) -> str:
    """The finding on the languages of the top 10, from ``top10_languages.csv.gz``."""
    sentences, table = [], chosen(table)
    found = tasks(table)
    for test in dict.fromkeys(test for _, test in found):
        parts = {task: of_task(table, task) for task in found if task[1] == test}
        owns = [
            {name: bias.own_language_share(own) for name, own in part.groupby("strategy")} for part in parts.values()
        ]
        pool = f"(of the pool: {own_pool_share(next(iter(parts.values()))):.0%})"
        in_all = set.intersection(*map(set, owns))
        after = next((name for name in ("hybrid", "x-y", "x-x-mono", "x-x", "en-en") if name in in_all), None)
        if after is None or "none" not in in_all:
            for task, own in zip(parts, owns, strict=True):
                shown = ", ".join(f"{share:.0%} {_with([name])}" for name, share in own.items())
                sentences.append(f"{shown} on {place(task, found)} {pool}")
        else:
            shown = _change(owns[0]["none"], [own[after] for own in owns])
            sentences.append(f"{shown} {_with([after])} on {names.name(test)} {pool}")
    return f"The query's own language in the top 10: {'; '.join(sentences)}"


def own_pool_share(top: pd.DataFrame) -> float:
    """Mean over query languages of their own share of the pool: what a retriever blind to language would show."""
    return float(top.loc[top["query_language"] == top["passage_language"], "pool_share"].mean())


def losses(log: pd.DataFrame) -> str:
    """The finding on the loss, from ``training_log.csv.gz``: first and last ten steps; of few sets its end."""
    ends: dict[str, dict[str, list[float]]] = {}
    fell = trainings = 0
    for (train, strategy, _), part in chosen(log).groupby(["train", "strategy", "seed"], sort=False):
        loss, ends_of = part.sort_values("step")["loss"], few(len(part))
        fell += loss.tail(ends_of).mean() < loss.head(ends_of).mean()
        trainings += 1
        ends.setdefault(train, {}).setdefault(strategy, []).append(loss.tail(ends_of).mean())
    shown = [
        f"on {names.name(train)} at {wording.joined(f'{np.mean(values):.2f} ({name})' for name, values in by.items())}"
        for train, by in ends.items()
    ]
    said = f"The loss falls in {fell} of {trainings} trainings"
    return f"{said}; it ends {'; '.join(shown)}" if len(ends) <= FEW else f"{said} on {len(ends)} sets"


def few(steps: int) -> int:
    """How many steps a loss is averaged over, at the start and at the end: 10, of short trainings up to half."""
    return max(1, min(10, steps // 2))


def compositions(log: pd.DataFrame) -> str:
    """The finding on what batches hold, from ``training_log.csv.gz``."""
    said = []
    for strategy, part in pairs_of_steps(log).groupby("strategy", sort=False):
        kinds = part.groupby(["train", "seed", "step"]).size()
        single = float((kinds == 1).mean())
        same = part.loc[part["query"] == part["passage"], "pairs"].sum() / part["pairs"].sum()
        if single == 1:
            said.append(f"{strategy} keeps each batch in one language")
        elif same == 0:
            said.append(f"{strategy} never pairs a language with itself")
        elif same == 1:
            said.append(f"{strategy} mixes languages in the batch but not in the pair")
        else:
            said.append(f"{strategy} keeps {single:.0%} of its batches in one language and mixes the others")
    return wording.joined(said)


def broken(log: pd.DataFrame) -> int:
    """How many batches of a log of hybrid trainings do not hold what their kind promises."""
    table = log[["kind", "languages"]].reset_index(names="batch")
    pairs = table.assign(languages=table["languages"].str.split()).explode("languages")
    parts = pairs["languages"].str.extract(r"(?P<query>.+)>(?P<passage>.+):\d+")
    pairs = pairs.assign(same=parts["query"] == parts["passage"], query=parts["query"])
    each = pairs.groupby("batch").agg(kind=("kind", "first"), same=("same", "sum"), n=("same", "size"))
    right = ((each["kind"] == "mono") & (each["same"] == 1) & (each["n"] == 1)) | (
        (each["kind"] == "cross") & (each["same"] == 0)
    )
    return int((~right).sum())


def pairs_of_steps(log: pd.DataFrame) -> pd.DataFrame:
    """The batches of a log, ``ar>en:2 de>de:1``, as rows ``train, strategy, seed, step, query, passage, pairs``."""
    table = chosen(log)[["train", "strategy", "seed", "step", "languages"]]
    table = table.assign(languages=table["languages"].str.split()).explode("languages", ignore_index=True)
    parts = table["languages"].str.extract(r"(?P<query>.+)>(?P<passage>.+):(?P<pairs>\d+)")
    return table.drop(columns="languages").join(parts.astype({"pairs": int}))


def coverage(sets: Mapping[str, ParallelSet]) -> str:
    """The finding on the data: in how many languages its questions can be asked."""
    sentences = []
    for name, chosen_set in sets.items():
        counts = languages_of_questions(chosen_set)
        most, share = counts.idxmax(), counts.max() / counts.sum()
        many = "all" if share == 1 else f"{share:.0%}"
        known = f"all {most}" if most == len(chosen_set.languages) else f"{most} of {len(chosen_set.languages)}"
        sentences.append(f"{names.name(name)} has {many} of its {counts.sum():,} questions in {known} languages")
    text = "; ".join(sentences)
    return text[0].upper() + text[1:]


def languages_of_questions(data: ParallelSet) -> pd.Series:
    """How many questions are asked in 1, 2, ... languages: index languages, value questions."""
    return pd.Series((data.query_rows >= 0).sum(axis=1)).value_counts().sort_index()


def _with(names: Iterable[str]) -> str:
    """``with hybrid batches``, ``with x-y and hybrid batches (about equal)``, ``without fine-tuning``."""
    trained = [name for name in names if name != "none"]
    without = ["without fine-tuning"] if "none" in names else []
    equal = " (about equal)" if len(trained) + len(without) > 1 else ""
    return wording.joined(without + ([f"with {wording.joined(trained)} batches"] if trained else [])) + equal


def _wins(differences: list[np.ndarray], what: str) -> str:
    """How many differences are above 0, and their mean; of several tasks from the lowest mean to the highest."""
    means = sorted(each.mean() for each in differences)
    whole = np.concatenate(differences)
    ends = dict.fromkeys(wording.difference(mean) for mean in (means[0], means[-1]))
    said = f"means {' to '.join(ends)}" if len(means) > 1 else next(iter(ends))
    return f"{(whole > 0).sum()} of {len(whole)}{what} ({said})"


def _change(before: float, after: list[float]) -> str:
    """``down from 82% to 31%``; after several trainings ``down from 82% to 31–39%``."""
    low, high = min(after), max(after)
    if max(high - before, before - low) < 0.005:
        return f"still {high:.0%}"
    way = "down " if high < before else "up " if low > before else ""
    least, most = f"{low:.0%}", f"{high:.0%}"
    return f"{way}from {before:.0%} to {most if least == most else f'{least[:-1]}–{most}'}"
