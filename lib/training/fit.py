"""Fine-tuning with sentence-transformers' own trainer: resumable, logged, one card per model.

Loss (paper, eq. 1): InfoNCE with in-batch negatives, here MultipleNegativesRankingLoss, whose ``scale`` stands for
the temperature that the paper does not give.

Under several processes (`base.processes`) each embeds its share of the ``batch_size`` rows of a global batch, and its
questions meet the passages of all: losses and updates are those of one process, up to rounding. Only dropout differs.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import device, paths, processes, progress
from ..base import store as artifacts
from ..base.config import Config
from ..data.released import squadshifts as validation
from ..data.sets import ParallelSet
from ..encoders import hub, vocabulary
from ..encoders import load as encoders
from . import checkpoints, trainer
from .pairs import Pairs
from .sampling import Strategy

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# The keys of a configuration that a trained model depends on, beside its precision.
SETTINGS = [
    "steps", "batch_size", "learning_rate", "warmup_steps", "weight_decay", "dropout", "scale", "train_word_vectors",
]  # fmt: skip
MODEL, LOG = "model", "training.json"


@dataclass(frozen=True)
class Recipe:
    """Everything that a trained model depends on, beside the software."""

    encoder: str
    encoder_digest: str
    train: str
    train_digest: str
    strategy: Strategy
    seed: int
    config: Config

    def inputs(self) -> dict[str, Any]:
        """As JSON values, to be hashed and recorded."""
        return {
            "encoder": self.encoder,
            "encoder_digest": self.encoder_digest,
            "train": self.train,
            "train_digest": self.train_digest,
            "strategy": self.strategy.name,
            "alpha": self.strategy.alpha,
            "seed": self.seed,
            "precision": device.precision(self.config.precision),
            **settings(self.config),
            "max_tokens": self.config.max_tokens,
        }


def settings(config: Config) -> dict[str, Any]:
    """What a training depends on, of a configuration."""
    chosen = {name: getattr(config, name) for name in SETTINGS}
    others = {"checkpoint": "last", "sampler": 1, "cross": "row"}  # these alone keep the digests of older models
    return chosen | {name: now for name, first in others.items() if (now := getattr(config, name)) != first}


@device.as_fresh()
def train(recipe: Recipe, encoder_folder: Path, data: ParallelSet) -> Path:
    """Return the folder of the trained model and its log, training first if need be.

    The folder holds ``model/`` (an ordinary SentenceTransformer with its full vocabulary and a card) and
    ``training.json`` (per step: loss, kind and languages of the batch). An interrupted training goes on from its
    last checkpoint, and ends with the weights that an unbroken one has.

    Of several processes the first holds the artifact's lock, and tells the others when there is something to train.

    Raises:
        UserError: as `fit`, or the processes do not have the same encoder, data and precision.
    """
    inputs = recipe.inputs()
    halfway = paths.store() / "checkpoints" / artifacts.digest(inputs)[:16]

    def fitted() -> tuple["SentenceTransformer", dict[str, Any]]:
        model = encoders.load(encoder_folder)
        texts = [*data.queries["text"], *data.passages["text"].iloc[_used(data)]]
        if recipe.config.checkpoint == "validation":
            texts += [text for pair in validation.pairs() for text in pair]
        # Trimming pays where word vectors are trained, or would fill most of a transformer's checkpoints; where they
        # are frozen and nothing but vectors, it costs its pass over the texts and saves nothing.
        is_worth_it = recipe.config.train_word_vectors or hasattr(model[0], "auto_model")
        cut = vocabulary.trim(model, texts) if is_worth_it else None
        log = fit(model, data, recipe.strategy, recipe.seed, recipe.config, halfway, recipe.train)
        vocabulary.restore(model, cut)
        return model, log

    def build(folder: Path) -> None:
        processes.told(True)
        model, log = fitted()
        encoders.save(model, folder / MODEL)
        write_card(folder / MODEL, recipe, log["batches"])
        artifacts.write_text(folder / LOG, json.dumps(log, indent=1) + "\n")
        shutil.rmtree(halfway, ignore_errors=True)

    processes.agree(inputs)
    if processes.rank() == 0:
        made = artifacts.make("models", inputs, build)
        processes.told(False)
        return made
    while processes.told():
        fitted()
    return artifacts.place("models", inputs)


def fit(
    model: "SentenceTransformer",
    data: ParallelSet,
    strategy: Strategy,
    seed: int,
    config: Config,
    folder: Path,
    title: str = "training",
) -> dict[str, Any]:
    """Fine-tune ``model`` in place for ``config.steps`` steps, or, by ``checkpoint``, as long as validation improves.

    Returns:
        ``batches``: how they were made; ``steps``: a list of one row per step, with loss, kind, languages, and
        candidates passed over because they would have been false negatives; ``validation``: loss by step, and
        ``kept``, the step whose weights the model has.

    Raises:
        UserError: a batch cannot be filled, or the training diverged.
    """
    trainer.prepare(model, config)
    pairs = Pairs.of(data)
    make_sampler = strategy.sampler(pairs, processes.count(), config.sampler)
    dataset = as_dataset(data, pairs)
    name = f"{Path(title).name}_{strategy.label}_seed{seed}"
    hf_trainer = trainer.make(
        model=model,
        args=trainer.arguments(model, config, seed, make_sampler, folder, name),
        train_dataset=dataset,
        eval_dataset=_validation_set() if config.checkpoint == "validation" else None,
        loss=_loss(model, config),
    )
    last = checkpoints.last(folder, config.steps)
    with progress.task(f"training on {title}, {strategy.label}, step", config.steps) as task, hub.quiet():
        hf_trainer.add_callback(trainer.reporter(task))
        hf_trainer.train(resume_from_checkpoint=last)
        state = hf_trainer.state
        if broken := encoders.not_finite(model):
            raise trainer.diverged(task, state.global_step, f"the weights {broken} are not finite", hf_trainer.args)
    processes.wait()  # from here on the checkpoints may go
    model.eval()
    return _log(state, make_sampler(dataset, batch_size=processes.share(config.batch_size), seed=seed), config)


def _loss(model: "SentenceTransformer", config: Config) -> Any:
    """InfoNCE over the passages of the global batch, by the encoder's own similarity times ``scale``."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    return MultipleNegativesRankingLoss(
        trainer.in_groups(model, trainer.in_bf16(model, config)),
        config.scale,
        similarity_fct=trainer.similarity(model),
        gather_across_devices=processes.count() > 1,
    )


def _log(state: Any, batches: Any, config: Config) -> dict[str, Any]:
    """What `fit` returns, of the trainer's state at the end and of the batches that it saw."""
    losses = {entry["step"]: entry["loss"] for entry in state.log_history if "loss" in entry}
    steps = batches.log(state.global_step)
    steps.insert(1, "loss", steps["step"].map(losses).astype(float).round(5))
    log = {"batches": batches.describe(), "steps": json.loads(steps.to_json(orient="records"))}
    if config.checkpoint == "validation":
        found = {entry["step"]: round(entry["eval_loss"], 5) for entry in state.log_history if "eval_loss" in entry}
        log |= {"validation": found, "kept": min(found, key=lambda step: (found[step], step))}
    return log


def as_dataset(data: ParallelSet, pairs: Pairs) -> Any:
    """A datasets.Dataset of row numbers whose texts are looked up as batches are made.

    Its columns are exactly ``anchor`` and ``positive``, and ``negative`` where the set has explicit negatives: any
    other text column, such as a language, would reach the loss as a hard negative without an error.
    """
    from datasets import Dataset

    passages = data.passages["text"].tolist()
    texts = {"anchor": data.queries["text"].tolist(), "positive": passages, "negative": passages}
    rows = {"anchor": pairs.anchor, "positive": pairs.positive}
    if pairs.negative is not None:
        rows["negative"] = pairs.negative

    def look_up(batch: dict[str, list[int]]) -> dict[str, list[str]]:
        return {column: [texts[column][i] for i in numbers] for column, numbers in batch.items()}

    return Dataset.from_dict(rows).with_transform(look_up)


def _validation_set() -> Any:
    from datasets import Dataset

    anchors, positives = zip(*validation.pairs(), strict=True)
    return Dataset.from_dict({"anchor": anchors, "positive": positives})


def log_of(folder: Path) -> dict[str, Any]:
    """The log of a trained model, as `fit` returned it."""
    return json.loads((folder / LOG).read_text(encoding="utf-8"))


def write_card(folder: Path, recipe: Recipe, batches: dict[str, Any]) -> None:
    """Write the model's card: what it is, and how its batches were made (saved arguments do not say)."""
    inputs = {**recipe.inputs(), **{f"batches: {key}": value for key, value in batches.items()}}
    rows = "\n".join(f"| {key} | {json.dumps(value)} |" for key, value in inputs.items())
    card = Path(__file__).with_name("card.md").read_text("utf-8")
    text = card.format(encoder=recipe.encoder, train=recipe.train, strategy=recipe.strategy.label, rows=rows)
    artifacts.write_text(folder / "README.md", text)


def _used(data: ParallelSet) -> Any:
    """Rows of the passages that are relevant to some question, and of explicit negatives: training sees no others."""
    negatives = data.negatives[data.negatives >= 0] if data.negatives is not None else []
    return np.union1d(data.qrels["passage"], negatives).astype(np.int64)
