"""A cell is one training (or none) and its evaluation: the piece that a run is made of.

A finished cell is two small files in ``results/<run>/cells``: a table of ranks, from which every measure follows,
and a sealed record of what it was made from and how. Cells are independent of each other; a run that was cut off
goes on with those that are missing, and a fresh clone starts from those that were published.
"""

import shlex
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base import device, paths, processes
from ..base import store as artifacts
from ..base.config import FACTS, Config, Run
from ..base.errors import UserError
from ..data import catalog as data
from ..data.sets import ParallelSet
from ..encoders import encode as embedding
from ..encoders import load as encoders
from ..evaluation import centring, metrics, probe, search
from ..evaluation import shards as miracl
from ..training import fit as training
from ..training.sampling import Strategy
from . import records
from .plan import NONE, Cell, evaluated, parts, plan
from .records import RANKS, RECORD, SUFFIXES

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

VERSION = 1  # to be raised when the same inputs would give other results
LOOKED_AT = ("vectors", "centred")  # what is read off the vectors
PARTS = ("top", *LOOKED_AT)  # of a record, by test set
EXAMPLES = (("query", encoders.EXAMPLE_QUERY, "query"), ("passage", encoders.EXAMPLE_PASSAGE, "document"))


def of(run: Run) -> list[Cell]:
    """The cells that a run's tables, figures and notebooks are made of: all, or for `--finished` those that are."""
    return [c for c in plan(run.config) if not run.finished or record(run, c) is not None]


def parts_of(run: Run) -> list[Cell]:
    """The finished cells of a run's sweeps and cross-fitting."""
    own = [c for c in parts(run.config) if c.encoder in run.config.encoder]
    return [c for c in own if (run.folder / f"cells/{c.id}{RECORD}").is_file() and record(run, c)]


def inputs(cell: Cell, config: Config) -> dict[str, Any]:
    """Everything that a cell's result depends on, beside the software and the machine, as JSON values."""
    names, config = evaluated(cell, config), cell.settings(config)
    sets = {name: data.evaluation_digest(name, config.candidates) for name in names}
    values = {"version": VERSION, "cell": cell.columns(), "encoder": encoders.identity(cell.encoder), "eval": sets}
    values |= {name: getattr(config, name) for name in ("max_tokens", "candidates", "precision")}
    if cell.train != NONE:
        values["train"] = data.training_digest(cell.train, _beside(cell, config), config.candidates)
        values |= training.settings(config)
    return values


def made_from(run: Run, cell: Cell) -> dict[str, Any]:
    """The `inputs` of a cell, worked out once for each run, and again when a file of one's own has changed."""
    own = [data.file_of(name) for name in (cell.train, *evaluated(cell, run.config)) if data.is_own(name)]
    state = artifacts.state([*own, *encoders.files_of(cell.encoder)])
    if run.inputs.get(cell, ())[:1] != (state,):
        run.inputs[cell] = state, inputs(cell, run.config)
    return run.inputs[cell][1]


def record(run: Run, cell: Cell) -> dict[str, Any] | None:
    """The record of a finished cell, or None if it is missing, damaged, or was made from something else.

    A cell that was scored on further sets serves as well: where a set cannot be had, the rest of what was published
    stays of use. What it holds of them is left out.
    """
    found = records.read(run.folder / "cells" / cell.id, made_from(run, cell))
    if found is None:
        return None
    wanted = evaluated(cell, run.config)
    return found | {part: {name: found[part][name] for name in wanted if name in found.get(part, {})} for part in PARTS}


def adopt_published(run: Run) -> list[Cell]:
    """Copy the published cells that this run lacks and that were made from the same inputs; returns them."""
    adopted = []
    for cell in (*plan(run.config), *parts(run.config)) if run.config.takes_published else ():
        target = run.folder / "cells" / cell.id
        if records.beside(target, RECORD).is_file() and records.read(target, made_from(run, cell)) is not None:
            continue
        if (source := published(run, cell)) is not None:
            for suffix in SUFFIXES:
                with artifacts.replacing(records.beside(target, suffix)) as temporary:
                    shutil.copyfile(records.beside(source, suffix), temporary)
            adopted.append(cell)
    if adopted:
        records.remember(run)
    return adopted


def published(run: Run, cell: Cell) -> Path | None:
    """Where a finished cell with the same inputs comes with the repository, without suffix: in this run or another."""
    places = [folder / "cells" / cell.id for folder in published_folders(run)]
    places = [path for path in places if records.beside(path, RECORD).is_file()]
    if not places:  # without looking at the data, which may not be here
        return None
    wanted = made_from(run, cell)
    return next((path for path in places if records.read(path, wanted) is not None), None)


def published_folders(run: Run) -> list[Path]:
    """Where published results lie: of this run, of those beside it, and of those that come with the repository."""
    folders = [run.folder, *sorted(run.folder.parent.glob("*")), *sorted(paths.TRACKED.glob("*"))]
    return [folder / "published" for folder in dict.fromkeys(folders)]


def all_at_hand(run: Run) -> bool:
    """Whether each cell is finished or comes with the repository, so that the run needs no data."""
    taken = published if run.config.takes_published else lambda *_: None
    return all((record(run, cell) or taken(run, cell)) is not None for cell in plan(run.config))


def is_published(run: Run, cell: Cell) -> bool:
    """Whether a finished cell comes with the repository just as it is here, to the last rank."""
    place = published(run, cell)
    return place is not None and records.read(place, made_from(run, cell))["sha256"] == record(run, cell)["sha256"]


def missing(run: Run) -> list[Cell]:
    """The cells that are still to be made."""
    return [] if run.finished else [cell for cell in plan(run.config) if record(run, cell) is None]


def train(run: Run, cell: Cell) -> Path:
    """The folder of the model that a cell evaluates, training it if need be."""
    if cell.train == NONE:
        return encoders.fetched(cell.encoder)
    recipe, questions = _recipe(run, cell)
    return training.train(recipe, encoders.fetched(cell.encoder), questions)


def model(run: Run, cell: Cell) -> Path:
    """The folder of the model that a cell evaluates, as the store holds it; nothing is trained.

    Raises:
        UserError: it is not there, and how to make it.
    """
    if cell.train == NONE:
        return encoders.fetched(cell.encoder)
    wanted = _recipe(run, cell)[0].inputs()
    folder = artifacts.place("models", wanted)
    if not artifacts.intact(folder, wanted):
        command = f"{run.command} --cells {shlex.quote(cell.id)}"
        raise UserError(f"the model of {cell.id} is not in the store; make it: {command}")
    return folder / training.MODEL


@device.as_fresh()
def finish(run: Run, cell: Cell) -> dict[str, Any] | None:
    """Train and evaluate a cell, unless that is done; returns its record.

    Of several processes all train, and the first evaluates; the others return nothing.

    Raises:
        UserError: a file that it is made from has changed meanwhile.
    """
    done, made_with = record(run, cell), made_from(run, cell)
    if processes.told(done is not None):
        return done
    folder = train(run, cell)
    if processes.rank() > 0:
        return None
    started = time.monotonic()
    model = encoders.load(folder / training.MODEL if cell.train != NONE else folder)
    config = cell.settings(run.config)
    kept = LOOKED_AT if not cell.is_part else LOOKED_AT[1:] if config.centred else ()
    rankings, vectors, centred = evaluate(model, evaluated(cell, run.config), config, kept)
    if made_from(run, cell) != made_with:
        raise UserError(f"rows or encoder of {cell.id} changed while it was made, so it is not kept: run it again")
    ranks = pd.concat([r.ranks.assign(dataset=name) for name, r in rankings.items()], ignore_index=True)
    path = run.folder / "cells" / cell.id
    records.remember(run)
    units = metrics.units(ranks) if cell.is_part else None
    with artifacts.replacing(records.beside(path, RANKS)) as temporary:
        records.write_ranks(ranks, temporary) if units is None else records.write_scores(units, temporary, cell.kept)
        digest = artifacts.file_digest(temporary)
    value = {
        "inputs": made_with,
        "sha256": digest,
        "top": {name: _top(name, r, config) for name, r in rankings.items() if name != data.BY_SHARD},
        **({"vectors": vectors} if units is None else {"means": records.means(units)}),
        **({"centred": centred} if units is None or config.centred else {}),
        "encoded": {kind: encoders.encoded_string(model, text, prompt) for kind, text, prompt in EXAMPLES},
        "training": records.kept_of(training.log_of(folder), cell.is_part) if cell.train != NONE else None,
        "made": {
            **device.describe(),
            "precision": embedding.runs_in(model, config.precision),
            "evaluation_seconds": round(time.monotonic() - started, 1),
        },
    }
    artifacts.write_sealed(records.beside(path, RECORD), value)
    return value


def evaluate(
    model: "SentenceTransformer", names: Sequence[str], config: Config, parts: Collection[str] = LOOKED_AT
) -> tuple[dict[str, search.Ranking], dict[str, Any], dict[str, Any]]:
    """Encode each set once and rank its relevant passages: all three settings come from the same vectors.

    Args:
        parts: what is read off the vectors beside the ranks: ``vectors``, ``centred``.

    Returns:
        Rankings by set; what `probe`, and what `centring`, reads off the vectors of each whole parallel set.
    """
    if data.BY_SHARD in names:  # which is scored alone
        embedding.cut(model, config.max_tokens)
        ranks = miracl.rank(model, device.precision(config.precision))
        return {data.BY_SHARD: search.Ranking(ranks, np.empty((0, 0), np.int64))}, {}, {}
    parallel = [name for name in names if not data.is_scored_alone(name)]
    means = [FACTS[0]] if "centred" in parts and parallel and not set(names) & set(FACTS) else []
    found, vectors, encoded, pools = {}, {}, {}, set()
    wanted = [*names, *means]
    for name, (chosen, queries, passages) in zip(wanted, embedding.encode_sets(model, wanted, config), strict=True):
        if "centred" in parts and (name in parallel or name in means):
            encoded[name] = chosen, queries, passages
        if name in means:
            continue
        embedding.check_apart(queries, chosen.queries, f"{name}, questions")
        embedding.check_apart(passages, chosen.passages, f"{name}, passages")
        found[name] = search.rank(queries, passages, chosen)
        if "vectors" in parts and chosen.pool not in pools and name in parallel:
            vectors[name] = probe.read_off(queries, passages, chosen)
        pools.add(chosen.pool)
    return found, vectors, centring.read_off(encoded, scored=parallel)


def ranks(run: Run, cell: Cell) -> pd.DataFrame:
    """The ranks of a finished cell: ``question, rank, pool_rank``, and ``dataset`` and languages as categories."""
    table = pd.read_parquet(records.beside(run.folder / "cells" / cell.id, RANKS), read_dictionary=records.NAMES)
    return table[table["dataset"].isin(evaluated(cell, run.config))]


def scores(run: Run, cell: Cell) -> pd.DataFrame:
    """The scores of a finished cell of a sweep or of cross-fitting, as `lib.evaluation.metrics.by_query` gives them."""
    return records.read_scores(run.folder / "cells" / cell.id)


def files(run: Run, cell: Cell) -> list[Path]:
    """The two files of a finished cell: the table of ranks, and the record."""
    return [records.beside(run.folder / "cells" / cell.id, suffix) for suffix in SUFFIXES]


def training_log(run: Run, cell: Cell) -> dict[str, Any]:
    """How a cell was trained, step by step (see `lib.training.fit`), training it if need be."""
    if (done := record(run, cell)) is not None:
        return done["training"]
    return training.log_of(train(run, cell))


def forget(run: Run) -> None:
    """Remove a run's cells and trained models, so that they are made anew."""
    for cell in (*plan(run.config), *parts(run.config)):
        for path in files(run, cell):
            path.unlink(missing_ok=True)
        forget_model(run, cell)


def forget_model(run: Run, cell: Cell) -> None:
    """Remove the trained model of a cell from the store, if it is there."""
    if cell.train != NONE:
        artifacts.discard("models", _recipe(run, cell)[0].inputs())


def _recipe(run: Run, cell: Cell) -> tuple[training.Recipe, ParallelSet]:
    config = cell.settings(run.config)
    questions = data.training_set(cell.train, _beside(cell, config), config.candidates)
    recipe = training.Recipe(
        encoder=cell.encoder,
        encoder_digest=encoders.identity(cell.encoder),
        train=cell.train,
        train_digest=data.training_digest(cell.train, _beside(cell, config), config.candidates),
        strategy=Strategy(cell.strategy, cell.alpha, config.cross),
        seed=cell.seed or 0,
        config=config,
    )
    return recipe, questions


def _beside(cell: Cell, config: Config) -> tuple[str, ...]:
    """The sets whose articles are not trained on; those of the facts corpus are none, so that no benchmark is read."""
    return () if cell.train == "facts" else config.eval


def _top(name: str, ranking: search.Ranking, config: Config) -> dict[str, Any]:
    return {"languages": data.evaluation_set(name, config.candidates).languages, "counts": ranking.top.tolist()}
