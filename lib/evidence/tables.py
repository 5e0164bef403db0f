"""The tables of a run, the only source of its figures, notebooks and verdicts; one row a number.

They are a pure function of the finished cells: the same cells give the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from ..base import store as artifacts
from ..base import workers
from ..base.config import FACTS_ONLY, Config, Run, as_dict
from ..data import catalog as data
from ..evaluation import bias, metrics, probe
from ..runs import cells
from ..runs import plan as grid
from ..runs.records import sets_read
from ..training.strategies import STRATEGIES

PROVENANCE = "provenance.json"
RULES = ("data", "evaluation", "evidence")  # the code that makes tables of cells
TABLES = (
    "metrics.csv",
    "metrics_by_language.csv.bz2",
    "metrics_variants.csv.bz2",
    "top10_languages.csv.bz2",
    "bias.csv.bz2",
    "who_is_hurt.csv.bz2",
    "vectors.csv.bz2",
    "training_log.csv.bz2",
)
VALUES = ["metric", "value", "n"]
CELL = ["encoder", "train", "strategy", "alpha", "seed"]  # the columns of `grid.Cell.columns`
SCORED = [*CELL, "dataset"]
KEYS = [*SCORED, "pool", "setting"]
NUMBERS = {"alpha": float, "seed": float}  # empty for some rows
SOFTWARE = ("torch", "transformers", "sentence-transformers", "tokenizers", "datasets", "pandas", "numpy")
MANY = 16  # cells from which on several processes are faster than one

Scored = tuple[grid.Cell, str, Any]  # a cell, a set that it was scored on, and what was made of its units


def write(run: Run, also: Callable[[str, pd.DataFrame], Any] | None = None) -> list[Scored]:
    """Write all tables of a run from its finished cells, and then what they were made from.

    Args:
        also: what else to make of the name and the units of each set, in the same pass over the ranks; returned.
    """
    macro, languages, others, biased, more = [], [], [], [], []
    records = {cell: cells.record(run, cell) for cell in cells.of(run)}
    kept = {cell: cells.record(run, cell) for cell in cells.parts_of(run) if cell.is_kept_as_scores}
    sets = {name for cell in records for name in grid.evaluated(cell, run.config)}
    repeated = {name: _repeated(run, name) for name in sets}
    for cell, dataset, (means, distinct, beside, *rest) in by_set(run, partial(_measured, repeated, also)):
        identity, over = _identity(run, cell, dataset), metrics.macro(means)
        languages.append((identity, means))
        macro.append((identity, over))
        others.append((identity, variants(records[cell], dataset, over, metrics.macro(distinct))))
        biased.append((cell, dataset, rest))
        more.append((cell, dataset, beside))
    macro += [(_identity(run, cell, cell.on), pd.DataFrame(record["means"])) for cell, record in kept.items()]
    save(run, "metrics.csv", _together(sorted(macro, key=partial(_place, run.config)))[[*KEYS, *VALUES]])
    save(run, "metrics_by_language.csv.bz2", _by_pair(_together(languages)), decimals=4)
    save(run, "metrics_variants.csv.bz2", _together(others)[["variant", *KEYS, *VALUES]])
    top = top_languages(run, records | kept)
    save(run, "top10_languages.csv.bz2", top)
    save(run, "bias.csv.bz2", bias_measures(biased, top))
    save(run, "who_is_hurt.csv.bz2", who_is_hurt(biased))
    save(run, "vectors.csv.bz2", vectors(run, records))
    write_training_log(run)
    write_provenance(run)
    return more


def _identity(run: Run, cell: grid.Cell, dataset: str) -> dict[str, Any]:
    return {**cell.columns(), "dataset": dataset, "pool": data.outline(dataset, run.config.candidates).pool}


def _place(config: Config, macro: tuple[dict[str, Any], pd.DataFrame]) -> tuple:
    """Where the means of a cell stand, in the grid's order: also of one that is not of the grid."""
    encoder, train, strategy, alpha, seed = (macro[0][name] for name in CELL)
    trains = [grid.NONE, *config.train, train]
    return config.encoder.index(encoder), trains.index(train), seed or 0, [*STRATEGIES].index(strategy), alpha or 0


def _by_pair(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one pair of languages beside each other, where they are compared, and take a seventh less on disk."""
    pairs = ["query_language", "passage_language"]
    shown = pd.DataFrame({name: pd.factorize(table[name])[0] for name in ("encoder", "dataset")})
    shown = shown.join(table[["setting", *pairs, "metric"]].astype(str))
    order = shown.sort_values(list(shown.columns), kind="stable")
    return table.loc[order.index, [*KEYS, *pairs, *VALUES]]


def write_training_log(run: Run) -> None:
    """Write ``training_log.csv.bz2``: one row a training step, with the loss, and the batch's kind and languages."""
    trained = grid.trainings(cells.of(run))
    found = [(cell.columns(), pd.DataFrame(cells.training_log(run, cell)["steps"])) for cell in trained]
    columns = [*CELL, "step", "epoch", "loss", "kind", "avoided", "languages"]
    table = _together(found)[columns] if found else pd.DataFrame(columns=columns)
    save(run, "training_log.csv.bz2", table)


def current(run: Run) -> bool:
    """Whether all tables are there, undamaged, and made from the run's present cells by today's code."""
    return artifacts.is_current(run.folder / PROVENANCE, _made_from(run), run.folder)


def _made_from(run: Run) -> dict[str, Any]:
    return {"digest": digest(run), "rules": rules()}


def all_units(run: Run, cell: grid.Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """The sets that a finished cell was scored on, each with its per-unit values (see `evaluation.metrics.units`)."""
    return ((dataset, metrics.units(ranks)) for dataset, ranks in _ranks(run, cell))


def by_set(run: Run, work: Callable[[str, pd.DataFrame], Any]) -> Iterator[Scored]:
    """What ``work`` makes of the name and the ranks of each set, for each finished cell; see `base.workers.each`."""
    finished = cells.of(run)
    for cell, found in zip(finished, workers.each(partial(_worked, run, work), finished, MANY), strict=True):
        yield from ((cell, dataset, value) for dataset, value in found)


def _worked(run: Run, work: Callable[[str, pd.DataFrame], Any], cell: grid.Cell) -> list[tuple[str, Any]]:
    return [(dataset, work(dataset, ranks)) for dataset, ranks in _ranks(run, cell)]


def _measured(
    repeated: dict[str, pd.MultiIndex],
    also: Callable[[str, pd.DataFrame], Any] | None,
    dataset: str,
    ranks: pd.DataFrame,
) -> tuple[Any, ...]:
    """Means by language, over all queries of a set and over those not ``repeated``; what ``also`` makes; `bias_of`."""
    units = metrics.units(ranks)
    beside = also(dataset, units) if also else None
    again = pd.MultiIndex.from_frame(units[["question", "query_language"]]).isin(repeated[dataset])
    return metrics.by_language(units), metrics.by_language(units[~again]), beside, *bias_of(dataset, ranks, units)


def variants(record: dict[str, Any], dataset: str, whole: pd.DataFrame, distinct: pd.DataFrame) -> pd.DataFrame:
    """Macro means under other rules, of those over all queries (``whole``) and over ``distinct`` ones.

    ``distinct queries``: de-duplicated by their exact text, as the paper's R@1 cells imply. ``centred``: each
    language's mean vector subtracted (see `evaluation.probe`).
    """
    parts = [whole.assign(variant="all queries"), distinct.assign(variant="distinct queries")]
    if read := record["vectors"].get(dataset):
        parts.append(pd.DataFrame(read["centred"]).assign(variant="centred"))
    return pd.concat(parts)


def vectors(run: Run, records: dict[grid.Cell, dict[str, Any]]) -> pd.DataFrame:
    """How much language can be read off the vectors, before and after centring, and by chance (see `probe`)."""
    rows, sets = [], {name for record in records.values() for name in record["vectors"]}
    chance = {name: probe.by_chance(data.outline(name, run.config.candidates)) for name in sets}
    for cell, record in records.items():
        for dataset, read in record["vectors"].items():
            identity = {**cell.columns(), "dataset": dataset}
            # Below chance on any vectors, see `evaluation.probe.read_off`.
            after = {k: v for k, v in read["after"].items() if k != "language_accuracy"}
            blind = read["chance"] | {"own_language_neighbours": round(chance[dataset], 6)}
            for when, values in (("before", read["before"]), ("after", after), ("chance", blind)):
                rows += [identity | {"centring": when, "measure": k, "value": v} for k, v in values.items()]
    return pd.DataFrame(rows, columns=[*SCORED, "centring", "measure", "value"])


def top_languages(run: Run, records: dict[grid.Cell, dict[str, Any]]) -> pd.DataFrame:
    """Of the first 10 passages in the pool, the share in each language, by query language; beside the pool's share."""
    found = []
    for cell, record in records.items():
        for dataset, top in record["top"].items():
            chosen = data.outline(dataset, run.config.candidates)
            shares = bias.top_shares(np.array(top["counts"]), top["languages"], chosen.passages["language"])
            found.append((_identity(run, cell, dataset), shares))
    columns = [*KEYS[:-1], "query_language", "passage_language", "share", "pool_share"]
    return _together(found)[columns]


def bias_of(
    dataset: str, ranks: pd.DataFrame, units: pd.DataFrame | None = None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Every measure of bias, and the median rank of each language pair; None of a set that is not parallel."""
    if not metrics.is_parallel(ranks):
        return None, None
    return bias.measures(ranks, units), bias.who_is_hurt(ranks).stack().rename("rank").reset_index()


Biased = Iterable[tuple[grid.Cell, str, Sequence[pd.DataFrame | None]]]  # cell, data set, its `bias_of`


def bias_measures(biased: Biased, top: pd.DataFrame) -> pd.DataFrame:
    """Every measure of bias for each finished cell and parallel set; ``top`` are the `top_languages`."""
    columns = [*SCORED, "measure", "value"]
    ranked = _stacked(biased, 0, columns)
    if ranked.empty:
        return ranked
    by_cell = top[top["dataset"].isin(ranked["dataset"])].groupby(SCORED, sort=False, dropna=False)
    shares = {"own_share": bias.own_language_share, "share_distance": bias.share_distance}
    found = [
        by_cell[list(top.columns)].apply(measure).rename("value").reset_index().assign(measure=name)
        for name, measure in shares.items()
    ]
    return pd.concat([ranked, *found], ignore_index=True)[columns]


def who_is_hurt(biased: Biased) -> pd.DataFrame:
    """Median rank in the pool, by language of query and passage, for each finished cell and parallel set."""
    return _stacked(biased, 1, [*SCORED, "query_language", "passage_language", "rank"])


def _stacked(biased: Biased, which: int, columns: list[str]) -> pd.DataFrame:
    there = [(cell, dataset, found[which]) for cell, dataset, found in biased if found[which] is not None]
    parts = [({**cell.columns(), "dataset": dataset}, table) for cell, dataset, table in there]
    return _together(parts)[columns].astype(NUMBERS) if parts else pd.DataFrame(columns=columns)


def _together(parts: Sequence[tuple[dict[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Tables below each other, each row with what its table is of in columns of their own."""
    rows = [len(table) for _, table in parts]
    columns = {name: [of[name] for of, _ in parts] for name in parts[0][0]}
    types = {name: object if None in values else None for name, values in columns.items()}  # 0 stays 0 beside None
    identity = {name: pd.Series(values, dtype=types[name]).repeat(rows).array for name, values in columns.items()}
    return pd.concat([table for _, table in parts], ignore_index=True).assign(**identity)


def _ranks(run: Run, cell: grid.Cell) -> Iterator[tuple[str, pd.DataFrame]]:
    """The ranks on each set that a finished cell was scored on, in the order of the profile."""
    ranks = cells.ranks(run, cell)
    for dataset in grid.evaluated(cell, run.config):
        yield dataset, metrics.coded(ranks[ranks["dataset"] == dataset].drop(columns="dataset"))


def write_provenance(run: Run) -> None:
    """What each number came from: configuration, data, cells with their digests, software and machine."""
    records = {cell.id: cells.record(run, cell) or {} for cell in cells.of(run)}
    value = {"run": run.name, "profile": run.profile, "overrides": list(run.overrides)}
    value |= {
        "data": "embedded facts corpus" if run.fallback else "as configured",
        "sets": sets_read(records.values()),
        "config": as_dict(run.config),
        "software": {name: version(name) for name in SOFTWARE},
        "cells": {name: {k: r[k] for k in ("sha256", "made")} for name, r in records.items()},
    }
    artifacts.write_seal(run.folder / PROVENANCE, _made_from(run), [run.folder / name for name in TABLES], **value)


def read(run: Run, name: str) -> pd.DataFrame:
    """A table of a run, of its encoders; columns that are empty for some rows (alpha, seed) keep their numbers."""
    table = pd.read_csv(run.folder / name, keep_default_na=False, na_values=[""], skiprows=int(run.fallback))
    return table[table["encoder"].isin(run.config.encoder)].reset_index(drop=True) if "encoder" in table else table


def digest(run: Run) -> str:
    """16 hex digits over the run's finished cells: which numbers a table or a figure was made from."""
    return artifacts.digest(_made(run))[:16]


def source(run: Run) -> str:
    """What a figure says that it was made from: the `digest` of all cells; of some cells nothing, however many."""
    made = _made(run)
    return "drawn before all cells were made" if None in made else f"cells {artifacts.digest(made)[:16]}"


def rules() -> dict[str, str]:
    """The digests of the code that makes tables of cells."""
    return artifacts.code(RULES)


def _made(run: Run) -> list[str | None]:
    """The digests of a run's cells, None where one is still to be made; and of those that it has beside its grid."""
    found = [(cells.record(run, cell) or {}).get("sha256") for cell in grid.plan(run.config)]
    beside = [cells.record(run, cell)["sha256"] for cell in cells.parts_of(run)]
    return [digest for digest in found if digest or not run.finished] + beside


def provenance(run: Run) -> dict[str, Any]:
    """What the tables on disk were made from: ``digest`` of all cells, ``cells`` by name, and more."""
    return artifacts.read_sealed(run.folder / PROVENANCE) or {}


def _repeated(run: Run, dataset: str) -> pd.MultiIndex:
    """Question and language of the queries that are not the first with their text in their language."""
    queries = data.outline(dataset, run.config.candidates).queries
    return pd.MultiIndex.from_frame(queries.loc[queries.duplicated(["language", "text"]), ["question", "language"]])


def save(run: Run, name: str, table: pd.DataFrame, decimals: int = 6) -> None:
    """Write a table as CSV, packed where the name says so, an endless interval empty; equal tables are equal files."""
    bounded = table.replace([np.inf, -np.inf], np.nan)
    text = f"# {FACTS_ONLY}\n" if run.fallback else ""
    text += bounded.to_csv(index=False, float_format=f"%.{decimals}f", lineterminator="\n")
    artifacts.write_text(run.folder / name, text)
