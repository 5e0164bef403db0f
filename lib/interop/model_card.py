"""Trained models as folders to share: the model, as sentence-transformers saves it, and a card that says what it is::

    python -m lib.interop.model_card --profile smoke --cells '*_hybrid-0.5_seed0' --out models

A folder loads with ``SentenceTransformer(folder)``, without this suite, and encodes what the stored model encodes: its
vocabulary is whole, and its prompts are those of `encode_query` and `encode_document`.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
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
from ..training import fit as training
from . import exports

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

CARD, MODULES = "README.md", "modules.json"
KILLED = 3600  # seconds after which an export that has not ended never will
ORIGINS = {  # of an encoder by its name: its model on the hub, and the licence of the weights
    "e5-small-q4": ("intfloat/multilingual-e5-small", "MIT"),
    "static": ("intfloat/multilingual-e5-small", "MIT"),
    "e5-small": ("intfloat/multilingual-e5-small", "MIT"),
    "xlm-r": ("FacebookAI/xlm-roberta-base", "MIT"),
    "labse": ("sentence-transformers/LaBSE", "Apache-2.0"),
}
LICENCES = {  # of training sets that are not in the registry of files
    "facts": "Apache-2.0, as this suite; the names in it are of Unicode CLDR (Unicode License v3)",
    "mmarco": "translations of MS MARCO, which is for non-commercial research",
}
BATCHES = {
    "x-x-mono": "each batch is in one language, drawn at random",
    "x-y": "question and passage of each pair are in different languages",
    "hybrid": "each batch is monolingual with probability alpha = {alpha:g}, else its pairs are cross-lingual",
    "x-x": "question and passage of each pair are in the same language; a batch holds several languages",
    "en-en": "English questions and passages alone",
}
TEXT = """
# {title}

A multilingual retriever: {encoder}, fine-tuned on {train} with {label} batches. It is one cell of a reproduction of
hybrid-batch training (arXiv [2408.10536](https://arxiv.org/abs/2408.10536)), run `{run}`, and is meant for comparing
ways to make batches.

## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{title}")  # this folder, or its id on a hub
queries = model.encode_query(["Where is Athens?"])
passages = model.encode_document(["Athens is the capital of Greece.", "Quito ist die Hauptstadt von Ecuador."])
print(model.similarity(queries, passages))
```

Queries are encoded as `{query}`, passages as `{passage}`.

## Training

{training}

## Scores

{scores}

mAP has no cutoff; means are over languages, or pairs of them. Monolingual: questions against sentences of their own
language; cross-lingual: of one other; multilingual: of all languages at once, where each translation of the answer is
right. Rank distance is how far apart the best and the worst placed right answer are there: lower is less biased.

## Limits

{limits}

## Licences

{licences}

Whoever shares the model must heed both.

## Citation

```bibtex
@misc{{elmahdy2024synergistic,
  author = {{Elmahdy, Adel and Lin, Sheng-Chieh and Ahmad, Amin}},
  title = {{Synergistic Approach for Simultaneous Optimization of Monolingual, Cross-lingual, and Multilingual
    Information Retrieval}},
  eprint = {{2408.10536}},
  archivePrefix = {{arXiv}},
  year = {{2024}},
}}
```
"""


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
    from huggingface_hub import ModelCardData

    found = scores(run, cell)
    log = training.log_of(cells.model(run, cell).parent)
    encoded = cells.record(run, cell)["encoded"]
    origin, _ = _origin(cell.encoder)
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
    text = TEXT.format(
        title=cell.id, encoder=_name(cell.encoder), train=_name(cell.train), label=cell.label, run=run.name,
        query=encoded["query"], passage=encoded["passage"], training=_training(run, cell, log),
        scores=_scores(found), limits=_limits(run, cell, log), licences=_licences(cell),
    )  # fmt: skip
    return f"---\n{head.to_yaml()}\n---\n{text}"


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
            metric_type=column.split()[-1].lower() if column.endswith("mAP") else column.replace(" ", "_"),
            metric_name=column,
            metric_value=round(value, 6),
        )
        for dataset, row in found.iterrows()
        for column, value in row.dropna().items()
    ]


def _scores(found: pd.DataFrame) -> str:
    """The scores as a table; rank distance without decimals, as it counts passages."""
    forms = {column: "{:,.0f}" if column == "rank distance" else "{:.3f}" for column in found}
    rows = found.apply(lambda values: ["" if pd.isna(value) else forms[values.name].format(value) for value in values])
    return _table(["tested on", *rows.columns], rows.itertuples())


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    texts = ([str(value).replace("|", r"\|") for value in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in texts)


def _training(run: Run, cell: Cell, log: dict[str, Any]) -> str:
    """How it was trained, as a table."""
    chosen, batches = cell.settings(run.config), log["batches"]
    losses = pd.Series([step["loss"] for step in log["steps"]])
    rate = f"{chosen.learning_rate:g}, linear decay after {chosen.warmup_steps} steps of warm-up"
    kept = f", of which step {log['kept']} was kept, by validation" if "kept" in log else ""
    rows = {
        "encoder": f"{_name(cell.encoder)}, {encoders.identity(cell.encoder)}",
        "data": f"{_name(cell.train)}: {batches['questions']:,} questions, {batches['pairs']:,} pairs",
        "languages": ", ".join(batches["languages"]),
        "batches": f"{cell.label}: {BATCHES[cell.strategy].format(alpha=cell.alpha or 0)}; none with a false negative",
        "steps": f"{len(losses)}{kept}",
        "batch size": batches["batch_size"] * batches["processes"],
        "optimiser": f"AdamW, weight decay {chosen.weight_decay:g}",
        "learning rate": rate,
        "loss": f"InfoNCE with in-batch negatives, temperature {1 / chosen.scale:g}",
        "loss, first and last 10 steps": f"{losses[:10].mean():.3f}, {losses[-10:].mean():.3f}",
        "dropout": "the encoder's own" if chosen.dropout is None else f"{chosen.dropout:g}",
        "word vectors": "trained" if chosen.train_word_vectors else "frozen",
        "longest text": f"{chosen.max_tokens} tokens",
        "seed": cell.seed,
    }
    return _table(["what", "how"], rows.items())


def _limits(run: Run, cell: Cell, log: dict[str, Any]) -> str:
    """What the model should not be taken for."""
    languages = ", ".join(log["batches"]["languages"])
    notes = "" if encoders.folder_of(cell.encoder) else encoders.find(cell.encoder).notes
    points = [
        f"It was fine-tuned on {languages} alone; in other languages it is what the encoder made of it.",
        f"The encoder is {notes}: not all that it does comes from this training." if notes else "",
        f"Scores are of one seed, and of finding single sentences in pools of a few thousand; they say little of "
        f"passages, of web search, or of texts beyond {cell.settings(run.config).max_tokens} tokens, which are cut.",
        "Ranks still depend on the language of a text: see rank distance above.",
        "The facts corpus is a small test bed made from templates: nothing of practical use is learnt from it."
        if cell.train == "facts"
        else "",
    ]
    return "\n".join(f"- {point}" for point in points if point)


def _licences(cell: Cell) -> str:
    """What the encoder's weights and the training data are licensed under."""
    files = download.files_of(cell.train)
    known = "; ".join(dict.fromkeys(file.licence for file in files)) or LICENCES.get(cell.train, "not known here")
    _, weights = _origin(cell.encoder)
    rows = [(f"encoder {_name(cell.encoder)}", weights), (f"data {_name(cell.train)}", known)]
    return _table(["what", "licence"], rows)


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
