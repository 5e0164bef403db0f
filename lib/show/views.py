"""Small tables and pictures that the notebooks show; nothing here is computed that is not in the modules below."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from ..data import catalog as data
from ..data.released import miracl as miracl_files
from ..data.sets import ParallelSet
from ..encoders import load as encoders
from ..evaluation import measures
from ..evidence import selection
from ..runs import cells
from ..runs import plan as grid
from ..training.pairs import Pairs
from ..training.sampling import Strategy

WIDTH = 900  # pixels, as the report shows it
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")


class Styled(Styler):
    """A styled table whose plain text is the table, not its address: a notebook made again is the same."""

    def __repr__(self) -> str:
        return repr(self.data)


def draw(run: Run, name: str) -> Any:
    """Show a figure of a run by its name, such as ``forest`` (see `lib.figures.gallery`); a tracked one as it is."""
    from IPython.display import Image

    from ..figures import gallery, style

    if path := gallery.tracked(run, name):
        return Image(path.read_bytes(), width=WIDTH)
    try:
        return Image(style.render(gallery.draw(run, name), "png", dpi=100))  # the same with every matplotlib backend
    except FileNotFoundError as error:
        lacking = Path(error.filename or "its tables").name
        raise UserError(f"run {run.name} has no {lacking} yet; make it: lib.judge(run), or {run.command}") from error


def published() -> Any:
    """The answer of the published run of `full`, as the README has it."""
    from IPython.display import Markdown

    from . import publish

    return Markdown(publish.quoted())


def evaluation_sets(run: Run) -> pd.DataFrame:
    """One row an evaluated set: how many questions, queries and candidates, and how parallel it is."""
    rows = []
    for name in run.config.eval:
        chosen = data.outline(name, run.config.candidates)
        languages = (chosen.passage_rows >= 0).sum(axis=1)
        rows.append(
            {
                "dataset": name,
                "languages": len(chosen.languages),
                "questions": len(chosen.questions),
                "queries": len(chosen.queries),
                "candidates": miracl_files.count(chosen.languages) if name == data.BY_SHARD else len(chosen.passages),
                "relevant per question": f"{languages.min()} to {languages.max()}",
                "monolingual settings": len(chosen.languages),
                "cross-lingual settings": len(chosen.languages) * (len(chosen.languages) - 1),
            }
        )
    return pd.DataFrame(rows).set_index("dataset")


def training_sets(run: Run) -> pd.DataFrame:
    """One row a training set: what may be trained on, after held-out and shared articles are taken out."""
    rows = []
    for name in run.config.train:
        chosen = data.training_set(name, run.config.eval, run.config.candidates)
        pairs = Pairs.of(chosen)
        rows.append(
            {
                "trained on": name,
                "questions": len(chosen.questions),
                "groups (articles)": chosen.questions["group"].nunique(),
                "languages": " ".join(chosen.languages),
                "pairs in all": len(pairs.anchor),
                "of them in one language": int((pairs.row.diagonal(axis1=1, axis2=2) >= 0).sum()),
            }
        )
    return pd.DataFrame(rows).set_index("trained on")


def example(run: Run, question: int = 0) -> Any:
    """A question of the first evaluated set and the passage that answers it, in every language."""
    chosen = data.evaluation_set(run.config.eval[0], run.config.candidates)
    rows = []
    for column, language in enumerate(chosen.languages):
        query, passage = chosen.query_rows[question, column], chosen.passage_rows[question, column]
        if query >= 0 and passage >= 0:
            texts = chosen.queries["text"].iloc[query], chosen.passages["text"].iloc[passage]
            rows.append((language, *texts))
    return readable(pd.DataFrame(rows, columns=["language", "query", "relevant passage"]).set_index("language"))


def encoded(run: Run) -> pd.DataFrame:
    """The exact strings that each encoder sees: a wrong prompt or special token costs more than any method.

    Of a run that shows finished cells, as they were recorded; else of the first encoder, with all that it declares.
    """
    if run.finished:
        seen = {cell.encoder: (cells.record(run, cell) or {})["encoded"] for cell in cells.of(run)}
        return pd.DataFrame(seen)
    model = encoders.load(encoders.fetched(run.config.encoder[0]))
    return pd.DataFrame({"value": {name: str(value) for name, value in encoders.describe(model).items()}})


def first_batches(run: Run, strategy: str, alpha: float | None = None, steps: int = 6) -> pd.DataFrame:
    """The first batches of a strategy on the run's first training set: kind, and query>passage languages."""
    _, _, sampler = _batches(run, strategy, alpha)
    log = sampler.log(steps).set_index("step")
    log["pairs by language"] = log["languages"].str.split().str[:6].str.join("  ")
    return log[["kind", "pairs by language"]]


def one_batch(run: Run, kind: str, rows: int = 4) -> Any:
    """The first pairs of the first monolingual (``x-x-mono``) or cross-lingual (``x-y``) batch, as they are trained."""
    chosen, pairs, sampler = _batches(run, kind)
    first = next(iter(sampler))[:rows]
    queries, passages = chosen.queries.iloc[pairs.anchor[first]], chosen.passages.iloc[pairs.positive[first]]
    languages = [f"{q}>{p}" for q, p in zip(queries["language"], passages["language"], strict=True)]
    table = pd.DataFrame({"query": queries["text"].tolist(), "relevant passage": passages["text"].tolist()})
    return readable(table.set_index(pd.Index(languages, name="languages")))


def _batches(run: Run, strategy: str, alpha: float | None = None, seed: int = 0) -> tuple[ParallelSet, Pairs, Any]:
    """The run's first training set, its pairs, and the sampler of their batches."""
    chosen = data.training_set(run.config.train[0], run.config.eval, run.config.candidates)
    pairs = Pairs.of(chosen)
    make = Strategy(strategy, alpha).sampler(pairs)
    return chosen, pairs, make(pairs.anchor, batch_size=run.config.batch_size, seed=seed)


def by_query_language(metrics: pd.DataFrame, metric: str, setting: str) -> pd.DataFrame:
    """A metric by query language (rows) and strategy (columns), averaged over seeds; one block a data set."""
    metrics = metrics.assign(strategy=selection.labels(metrics))
    chosen = metrics[(metrics["metric"] == metric) & (metrics["setting"] == setting)]
    order = list(dict.fromkeys(chosen["strategy"]))
    index = [*selection.several(chosen), "dataset", "query_language"]
    table = chosen.pivot_table(index=index, columns="strategy", values="value", aggfunc="mean")
    return table[order].rename_axis(columns=None)


def with_intervals(table: pd.DataFrame, value: str, index: list[str], columns: str = "setting") -> pd.DataFrame:
    """Values with their 95% intervals as text, ``+.012 [+.004, +.020]``; settings in the order of the paper."""
    from ..evaluation import metrics

    if table.empty:
        return pd.DataFrame({"": ["this run has no such rows"]})
    shown = [[measures.number(number, sign=True) for number in row] for row in table[[value, "low", "high"]].to_numpy()]
    text = [f"{value} [{low}, {high}]" for value, low, high in shown]
    wide = table.assign(text=text).pivot_table(index=index, columns=columns, values="text", aggfunc="first", sort=False)
    known = [name for name in metrics.SETTINGS if name in wide.columns]
    return wide[known or list(wide.columns)].rename_axis(columns=None)


def by_strategy(table: pd.DataFrame, columns: str | list[str]) -> pd.DataFrame:
    """Values by what was trained, and scored (rows), and by some columns of the table; means over seeds."""
    table = table.assign(strategy=selection.labels(table))
    keys = [*selection.several(table), "dataset", "train", "strategy"]
    wide = table.pivot_table(index=keys, columns=columns, values="value", sort=False)
    return wide.rename_axis(columns=[None] * wide.columns.nlevels)


def vectors(table: pd.DataFrame) -> pd.DataFrame:
    """How much language the vectors hold, before and after centring, mean over seeds; and by chance."""
    return by_strategy(table, ["measure", "centring"]).reindex(columns=["before", "after", "chance"], level=1)


def centred(variants: pd.DataFrame) -> pd.DataFrame:
    """mAP in each setting and rank distance, as they are and after centring, mean over seeds."""
    chosen = variants[variants["metric"].isin(["map", "rank_distance"])]
    chosen = chosen[chosen["variant"].isin(["all queries", "centred"])]
    names = chosen["setting"].where(chosen["metric"] == "map", "rank distance")
    chosen = chosen.assign(column=names, variant=chosen["variant"].replace("all queries", "as it is"))
    both = by_strategy(chosen, "variant").dropna().index
    wide = by_strategy(chosen, ["column", "variant"])
    return wide.loc[wide.index.isin(both)]


def verdicts(table: pd.DataFrame) -> Styled:
    """Claims with their verdicts, reasons, numbers and rules, to be read."""
    shown = table.drop(columns="caveat").assign(reason=table["reason"] + ". " + table["caveat"].fillna(""))
    style = Styled(shown).format(escape="html", na_rep="").hide(axis="index")
    style = style.set_properties(**{"text-align": "left", "vertical-align": "top"})
    return style.set_properties(subset=["numbers", "rule"], **{"font-size": "85%"}).set_uuid("claims")


def readable(table: pd.DataFrame) -> Styled:
    """Wrapped text, right-to-left scripts from the right."""
    direction = pd.DataFrame("text-align: left; max-width: 28em; white-space: normal", table.index, table.columns)
    for label in set(table.index):
        if str(label).split(">")[0] in RIGHT_TO_LEFT:
            direction.loc[label, "query"] += "; direction: rtl; text-align: right"
        if str(label).split(">")[-1] in RIGHT_TO_LEFT:
            direction.loc[label, "relevant passage"] += "; direction: rtl; text-align: right"
    unique = table.reset_index()
    styles = direction.reset_index(drop=True).assign(**{table.index.name: ""})[list(unique.columns)]
    return (
        Styled(unique)
        .format(escape="html")
        .hide(axis="index")
        .apply(lambda _: styles, axis=None)
        .set_uuid(artifacts.digest(unique.values.tolist())[:8])
    )


def in_training(run: Run, strategy: str, alpha: float | None = None, question: int = 0) -> Any:
    """The steps at which a training question is in the batch: in which languages it is asked, and answered.

    The batches are those of the run's first training set and first seed, made again: their order is a function of
    the seed.
    """
    chosen, pairs, sampler = _batches(run, strategy, alpha, run.config.seeds[0])
    own = pairs.row[question][pairs.row[question] >= 0]
    rows = []
    for step, (_, batch) in enumerate(sampler.first(run.config.steps), start=1):
        for number in np.intersect1d(batch.rows, own):
            query, passage = chosen.queries.iloc[pairs.anchor[number]], chosen.passages.iloc[pairs.positive[number]]
            languages = f"{query['language']}>{passage['language']}"
            rows.append((languages, step, batch.kind, query["text"], passage["text"]))
    found = pd.DataFrame(rows, columns=["languages", "step", "batch", "query", "relevant passage"])
    return readable(found.set_index("languages"))


def in_ranking(run: Run, language: str, question: int = 0) -> pd.DataFrame:
    """The rank of each translation of a question's answer in the pool, for the question asked in one language.

    Args:
        language: of the query; where the question is not asked in it, its first one is taken.
        question: its number in the run's first evaluated set.

    Returns:
        One row a passage language, one column a strategy (first encoder and seed), with the rank distance below.
    """
    name = run.config.eval[0]
    asked = _asked_in(data.outline(name, run.config.candidates), question, language)
    columns = {}
    for cell in cells.of(run.of_first()):
        if cell.seed in (None, run.config.seeds[0]) and name in grid.evaluated(cell, run.config):
            ranks = cells.ranks(run, cell)
            own = (ranks["dataset"] == name) & (ranks["question"] == question) & (ranks["query_language"] == asked)
            several = len(run.config.train) > 1 and cell.train != grid.NONE
            label = f"{cell.label}, {cell.train}" if several else cell.label
            columns[label] = ranks[own].set_index("passage_language")["pool_rank"]
    table = pd.DataFrame(columns).sort_index()
    table.loc["rank distance"] = table.max() - table.min()
    return table.astype(int).rename_axis(f"asked in {asked}, answered in")


def _asked_in(chosen: ParallelSet, question: int, language: str) -> str:
    there = [name for name, row in zip(chosen.languages, chosen.query_rows[question], strict=True) if row >= 0]
    return language if language in there else there[0]
