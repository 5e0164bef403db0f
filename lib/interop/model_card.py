"""Trained models as folders to share: the model, as sentence-transformers saves it, and a card that says what it is::

    python -m lib.interop.model_card --profile smoke --cells '*_hybrid-0.5_seed0' --out models

A folder loads with ``SentenceTransformer(folder)``, without this suite, and encodes what the stored model encodes: its
vocabulary is whole, and its prompts are those of `encode_query` and `encode_document`.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError, told
from ..data import catalog as data
from ..data import download
from ..encoders import load as encoders
from ..evaluation import metrics
from ..evidence import tables
from ..runs import cells
from ..runs.plan import Cell
from ..show import texts
from ..training import fit as training
from . import exports

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TEMPLATES = Path(__file__).with_name("templates")
CARD, MODULES = "README.md", "modules.json"
KILLED = 3600  # seconds after which an export that has not ended never will
ORIGINS = {  # of an encoder by its name: its model on the hub, and the licence of the weights
    "e5-small-q4": ("intfloat/multilingual-e5-small", "MIT"),
    "static": ("intfloat/multilingual-e5-small", "MIT"),
    "e5-small": ("intfloat/multilingual-e5-small", "MIT"),
    "xlm-r": ("FacebookAI/xlm-roberta-base", "MIT"),
    "labse": ("sentence-transformers/LaBSE", "Apache-2.0"),
}


def export(run: Run, cell: Cell, folder: Path) -> Path:
    """Copy a cell's trained model out of the store, in one step, to a folder of its own, with its card.

    Returns:
        The folder, called as the cell; an earlier export is replaced.

    Raises:
        UserError: the model is not in the store, or something else stands where the folder is to be.
    """
    source, target = cells.model(run, cell), folder / cell.id
    if target.exists() and not (target / MODULES).is_file():
        raise UserError(f"{target}: it is there, and is no model; name another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():  # by an export that was killed; one that is at work is younger
        if left.name.startswith(f".{cell.id}.") and left.is_dir() and time.time() - left.stat().st_mtime > KILLED:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{cell.id}.", dir=folder) as scratch:
        made = Path(scratch) / "made"
        shutil.copytree(source, made, ignore=shutil.ignore_patterns(encoders.ORIGIN_FILE))
        (made / CARD).write_text(card(run, cell), encoding="utf-8", newline="\n")
        artifacts.let_read(made)
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return target


def card(run: Run, cell: Cell) -> str:
    """The card of a finished cell's model: what the hub reads at its head, then what people read."""
    log = training.log_of(cells.model(run, cell).parent)
    return written(run, cell, log, cells.record(run, cell)["encoded"], scores(run, cell))


def written(run: Run, cell: Cell, log: dict[str, Any], encoded: dict[str, str], found: pd.DataFrame) -> str:
    """The card of a model with this log of its training, these texts as it encodes them, and these `scores`."""
    from huggingface_hub import ModelCardData

    origin, licence_of_weights = _origin(cell.encoder)
    head = ModelCardData(
        language=list(dict.fromkeys(language.split("-")[0] for language in log["batches"]["languages"])),
        license="other",
        license_name="see-licences-below",
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "feature-extraction", "multilingual", "hybrid-batches", "arxiv:2408.10536"],
        base_model=origin,
        model_name=cell.id,
        eval_results=_results(found),
    )
    jinja = texts.templates(TEMPLATES, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return jinja.get_template("model_card.md.j2").render(
        run=run,
        cell=cell,
        log=log,
        encoded=encoded,
        head=head.to_yaml(),
        encoder=_name(cell.encoder),
        train=_name(cell.train),
        identity=encoders.identity(cell.encoder),
        notes="" if encoders.folder_of(cell.encoder) else encoders.find(cell.encoder).notes,
        settings=cell.settings(run.config),
        scores=_shown(found),
        licence_of_weights=licence_of_weights,
        licences="; ".join(dict.fromkeys(file.licence for file in download.files_of(cell.train))),
    )


def scores(run: Run, cell: Cell) -> pd.DataFrame:
    """mAP in each setting and rank distance (columns) on each set that the cell was scored on (rows)."""
    rows = {}
    for dataset, units in tables.all_units(run, cell):
        means = metrics.macro(metrics.by_language(units)).set_index(["metric", "setting"])["value"]
        row = {f"{setting} mAP": means["map", setting] for setting in metrics.SETTINGS if ("map", setting) in means}
        rows[_name(dataset)] = row | {"rank distance": means.get(("rank_distance", "multilingual"))}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("tested on")


def main(arguments: list[str] | None = None) -> int:
    """Export the models of the finished cells that are asked for; returns the exit status."""
    return told(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    take = exports.parser("model_card", "Exports trained models, each a folder with its card, ready to be shared.")
    asked = take.parse_args(arguments)
    run, chosen = exports.finished(asked.profile, asked.overrides, asked.cells, trained=True)
    for cell in chosen:
        cells.model(run, cell)  # whatever is missing is told before anything is written
    for cell in chosen:
        print(paths.shown(export(run, cell, asked.out or run.folder / "model_card")), flush=True)


def _results(found: pd.DataFrame) -> list["EvalResult"]:
    """The scores as the hub's model index lists them."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="information-retrieval",
            task_name="Information retrieval",
            dataset_type=dataset,
            dataset_name=dataset,
            metric_type="map" if column.endswith("mAP") else "rank_distance",
            metric_name=column,
            metric_value=round(value, 6),
        )
        for dataset, row in found.iterrows()
        for column, value in row.dropna().items()
    ]


def _shown(found: pd.DataFrame) -> pd.DataFrame:
    """The scores as text; rank distance without decimals, as it counts passages."""
    forms = {column: "{:,.0f}" if column == "rank distance" else "{:.3f}" for column in found}
    return found.apply(lambda values: ["" if pd.isna(value) else forms[values.name].format(value) for value in values])


def _origin(encoder: str) -> tuple[str | None, str]:
    """The hub's id of the model that an encoder is or comes from, if any, and the licence of its weights."""
    if encoder in ORIGINS:
        return ORIGINS[encoder]
    return (None if encoders.folder_of(encoder) else encoders.find(encoder).repository), "not known here"


def _name(text: str) -> str:
    """A name; of a file or folder of one's own, without its place. Held-out rows are no other set's: they say so."""
    if data.is_own(text):
        file = text.removesuffix(data.HELDOUT)
        return paths.ROWS.sub("", Path(file).name) + text.removeprefix(file)
    return Path(text).name if encoders.folder_of(text) else text


if __name__ == "__main__":
    sys.exit(main())
