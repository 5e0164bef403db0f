"""A cell is one training (or none) and its evaluation: the piece that a run is made of.

A finished cell is two small files in ``results/<run>/cells``: a table of ranks, from which every measure follows,
and a sealed record of what it was made from and how. Cells are independent of each other; a run that was cut off
goes on with those that are missing, and a fresh clone starts from those that were published.
"""

import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib import artifacts, data, device, embedding, encoders, miracl, probe, processes, search, training
from lib.config import Config, Run
from lib.errors import UserError
from lib.grid import LARGE, NONE, Cell, evaluated, plan
from lib.parallel import ParallelSet
from lib.sampling import Strategy

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

VERSION = 1  # to be raised when the same inputs would give other results
PARTS = ("top", "vectors")  # of a record, by test set
RANKS, RECORD = SUFFIXES = (".parquet", ".json.gz")  # of a finished cell
EXAMPLES = (("query", encoders.EXAMPLE_QUERY, "query"), ("passage", encoders.EXAMPLE_PASSAGE, "document"))


def of(run: Run) -> list[Cell]:
    """The cells that a run's tables, figures and notebooks are made of: all, or for `--finished` those that are."""
    return [c for c in plan(run.config) if not run.finished or record(run, c) is not None]


def inputs(cell: Cell, config: Config) -> dict[str, Any]:
    """Everything that a cell's result depends on, beside the software and the machine, as JSON values."""
    sets = {name: data.evaluation_digest(name, config.candidates) for name in evaluated(cell, config)}
    values = {"version": VERSION, "cell": cell.columns(), "encoder": encoders.identity(cell.encoder), "eval": sets}
    values |= {name: getattr(config, name) for name in ("max_tokens", "candidates", "precision")}
    if cell.train != NONE:
        values["train"] = data.training_digest(cell.train, config.eval, config.candidates)
        values |= training.settings(config)
    return values


def record(run: Run, cell: Cell) -> dict[str, Any] | None:
    """The record of a finished cell, or None if it is missing, damaged, or was made from something else.

    A cell that was scored on further sets serves as well: where a set cannot be had, the rest of what was published
    stays of use. What it holds of them is left out.
    """
    found = _record(run.folder / "cells" / cell.id, inputs(cell, run.config))
    if found is None:
        return None
    wanted = evaluated(cell, run.config)
    return found | {part: {name: found[part][name] for name in wanted if name in found[part]} for part in PARTS}


def adopt_published(run: Run) -> list[Cell]:
    """Copy the published cells that this run lacks and that were made from the same inputs; returns them."""
    adopted = []
    for cell in plan(run.config):
        target = run.folder / "cells" / cell.id
        if _record(target, inputs(cell, run.config)) is None and (source := published(run, cell)) is not None:
            for suffix in SUFFIXES:
                with artifacts.replacing(_beside(target, suffix)) as temporary:
                    shutil.copyfile(_beside(source, suffix), temporary)
            adopted.append(cell)
    return adopted


def published(run: Run, cell: Cell) -> Path | None:
    """Where a finished cell with the same inputs comes with the repository, without suffix: in this run or another."""
    wanted = inputs(cell, run.config)
    folders = dict.fromkeys([run.folder, *sorted(run.folder.parent.glob("*"))])
    places = [folder / "published" / "cells" / cell.id for folder in folders]
    return next((path for path in places if _record(path, wanted) is not None), None)


def is_published(run: Run, cell: Cell) -> bool:
    """Whether a finished cell comes with the repository just as it is here, to the last rank."""
    place = published(run, cell)
    return place is not None and _record(place, inputs(cell, run.config))["sha256"] == record(run, cell)["sha256"]


def missing(run: Run) -> list[Cell]:
    """The cells that are still to be made."""
    return [cell for cell in of(run) if record(run, cell) is None]


def train(run: Run, cell: Cell) -> Path:
    """The folder of the model that a cell evaluates, training it if need be."""
    if cell.train == NONE:
        return encoder_folder(cell.encoder)
    recipe, questions = _recipe(run, cell)
    return training.train(recipe, encoder_folder(cell.encoder), questions)


def model(run: Run, cell: Cell) -> Path:
    """The folder of the model that a cell evaluates, as the store holds it; nothing is trained.

    Raises:
        UserError: it is not there, and how to make it.
    """
    if cell.train == NONE:
        return encoder_folder(cell.encoder)
    wanted = _recipe(run, cell)[0].inputs()
    folder = artifacts.place("models", wanted)
    if not artifacts.intact(folder, wanted):
        command = f"{run.command} --cells {shlex.quote(cell.id)}"
        raise UserError(f"the model of {cell.id} is not in the store; make it: {command}")
    return folder / training.MODEL


def finish(run: Run, cell: Cell) -> dict[str, Any] | None:
    """Train and evaluate a cell, unless that is done; returns its record.

    Of several processes all train, and the first evaluates; the others return nothing.
    """
    done = record(run, cell)
    if processes.told(done is not None):
        return done
    folder = train(run, cell)
    if processes.rank() > 0:
        return None
    started = time.monotonic()
    model = encoders.load(folder / training.MODEL if cell.train != NONE else folder)
    rankings, vectors = evaluate(model, evaluated(cell, run.config), run.config)
    ranks = pd.concat([r.ranks.assign(dataset=name) for name, r in rankings.items()], ignore_index=True)
    path = run.folder / "cells" / cell.id
    with artifacts.replacing(_beside(path, RANKS)) as temporary:
        _write(ranks, temporary)
        digest = artifacts.file_digest(temporary)
    value = {
        "inputs": inputs(cell, run.config),
        "sha256": digest,
        "top": {name: _top(name, r, run.config) for name, r in rankings.items() if name != data.BY_SHARD},
        "vectors": vectors,
        "encoded": {kind: encoders.encoded_string(model, text, prompt) for kind, text, prompt in EXAMPLES},
        "training": training.log_of(folder) if cell.train != NONE else None,
        "made": {
            **device.describe(),
            "precision": device.precision(run.config.precision),
            "evaluation_seconds": round(time.monotonic() - started, 1),
        },
    }
    artifacts.write_sealed(_beside(path, RECORD), value)
    return value


def evaluate(
    model: "SentenceTransformer", names: Sequence[str], config: Config
) -> tuple[dict[str, search.Ranking], dict[str, Any]]:
    """Encode each set once and rank its relevant passages: all three settings come from the same vectors.

    Returns:
        For each set the ranking (of MIRACL's corpora without what fills the first ten); and for each whole parallel
        set what `lib.probe` reads off the vectors.
    """
    if data.BY_SHARD in names:  # which is scored alone
        embedding.cut(model, config.max_tokens)
        ranks = miracl.rank(model, device.precision(config.precision))
        return {data.BY_SHARD: search.Ranking(ranks, np.empty((0, 0), np.int64))}, {}
    found, vectors, pools = {}, {}, set()
    for name, (chosen, queries, passages) in zip(names, embedding.encode_sets(model, names, config), strict=True):
        found[name] = search.rank(queries, passages, chosen)
        if chosen.pool not in pools and name not in LARGE:
            vectors[name] = probe.read_off(queries, passages, chosen)
        pools.add(chosen.pool)
    return found, vectors


def ranks(run: Run, cell: Cell) -> pd.DataFrame:
    """The ranks of a finished cell: ``dataset, question, query_language, passage_language, rank, pool_rank``."""
    table = pd.read_parquet(_beside(run.folder / "cells" / cell.id, RANKS))
    return table[table["dataset"].isin(evaluated(cell, run.config))]


def files(run: Run, cell: Cell) -> list[Path]:
    """The two files of a finished cell: the table of ranks, and the record."""
    return [_beside(run.folder / "cells" / cell.id, suffix) for suffix in SUFFIXES]


def training_log(run: Run, cell: Cell) -> dict[str, Any]:
    """How a cell was trained, step by step (see `lib.training.fit`), training it if need be."""
    if (done := record(run, cell)) is not None:
        return done["training"]
    return training.log_of(train(run, cell))


def forget(run: Run) -> None:
    """Remove a run's cells and trained models, so that they are made anew."""
    for cell in plan(run.config):
        for path in files(run, cell):
            path.unlink(missing_ok=True)
        if cell.train != NONE:
            artifacts.discard("models", _recipe(run, cell)[0].inputs())


def encoder_folder(name: str) -> Path:
    """The folder of an encoder that is not fine-tuned, made or fetched if need be."""
    if folder := encoders.folder_of(name):
        return folder
    wanted = {"encoder": name, "identity": encoders.identity(name)}
    return artifacts.make("encoders", wanted, lambda folder: encoders.build(name, folder))


def _recipe(run: Run, cell: Cell) -> tuple[training.Recipe, ParallelSet]:
    questions = data.training_set(cell.train, run.config.eval, run.config.candidates)
    recipe = training.Recipe(
        encoder=cell.encoder,
        encoder_digest=encoders.identity(cell.encoder),
        train=cell.train,
        train_digest=data.training_digest(cell.train, run.config.eval, run.config.candidates),
        strategy=Strategy(cell.strategy, cell.alpha),
        seed=cell.seed or 0,
        config=run.config,
    )
    return recipe, questions


def _beside(path: Path, suffix: str) -> Path:
    """The path with a suffix after its name, which may hold dots: alpha is part of it."""
    return path.with_name(path.name + suffix)


def _record(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    value, table = artifacts.read_sealed(_beside(path, RECORD)), _beside(path, RANKS)
    if value is None or not table.exists() or not _serves(value, wanted):
        return None
    return value if artifacts.file_digest(table) == value["sha256"] else None


def _serves(value: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a cell was made from the same inputs, its test sets being those wanted, and perhaps others.

    What is read off the vectors is there for the first set of each pool: if that one is not wanted, the cell lacks it.
    """
    made = value.get("inputs")
    if not isinstance(made, dict) or not isinstance(made.get("eval"), dict):
        return False
    if made["eval"] == wanted["eval"]:
        return made == wanted
    pools = {name.removesuffix("-heldout") for name in wanted["eval"] if name not in LARGE}
    read = {name.removesuffix("-heldout") for name in wanted["eval"] if name in value["vectors"]}
    return pools == read and made | {"eval": {name: made["eval"].get(name) for name in wanted["eval"]}} == wanted


def _write(ranks: pd.DataFrame, path: Path) -> None:
    """As small as it gets, within a quarter of the ranks' entropy; the same bytes each time."""
    names = ["dataset", "query_language", "passage_language"]
    packing = {"question": "DELTA_BINARY_PACKED", "rank": "BYTE_STREAM_SPLIT", "pool_rank": "BYTE_STREAM_SPLIT"}
    ordered = ranks[["dataset", "question", "query_language", "passage_language", "rank", "pool_rank"]]
    ordered.to_parquet(
        path, index=False, compression="brotli", compression_level=11, use_dictionary=names, column_encoding=packing
    )


def _top(name: str, ranking: search.Ranking, config: Config) -> dict[str, Any]:
    return {"languages": data.evaluation_set(name, config.candidates).languages, "counts": ranking.top.tolist()}
