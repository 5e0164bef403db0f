"""Fine-tuning with sentence-transformers' own trainer: resumable, logged, one card a model.

Loss (paper, eq. 1): InfoNCE with in-batch negatives, here MultipleNegativesRankingLoss, whose ``scale`` stands for
the temperature that the paper does not give.

Under several processes (`lib.processes`) each embeds its share of the global batch, of ``batch_size`` rows, and its
questions meet the passages of all: losses and updates are those of one process, up to rounding. Only dropout differs.
"""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib import artifacts, device, encoders, paths, processes, progress, validation, vocabulary
from lib.config import Config
from lib.errors import UserError
from lib.parallel import ParallelSet
from lib.sampling import Pairs, Strategy

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

STEPS_PER_CHECKPOINT, CHECKPOINTS = 20, 20  # the second for long runs: one is three times the weights to write
GROUPS = 4
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
    """What a training depends on, of a configuration; the choice of the checkpoint where it is not the last one."""
    chosen = {name: getattr(config, name) for name in SETTINGS}
    return chosen | ({"checkpoint": config.checkpoint} if config.checkpoint != "last" else {})


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
    checkpoints = paths.store() / "checkpoints" / artifacts.digest(inputs)[:16]

    def fitted() -> tuple["SentenceTransformer", dict[str, Any]]:
        model = encoders.load(encoder_folder)
        texts = [*data.queries["text"], *data.passages["text"].iloc[_used(data)]]
        if recipe.config.checkpoint == "validation":
            texts += [text for pair in validation.pairs() for text in pair]
        cut = vocabulary.trim(model, texts)
        log = fit(model, data, recipe.strategy, recipe.seed, recipe.config, checkpoints, recipe.train)
        vocabulary.restore(model, cut)
        return model, log

    def build(folder: Path) -> None:
        processes.told(True)
        model, log = fitted()
        encoders.save(model, folder / MODEL)
        write_card(folder / MODEL, recipe, log["batches"])
        artifacts.write_text(folder / LOG, json.dumps(log, indent=1) + "\n")
        shutil.rmtree(checkpoints, ignore_errors=True)

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
    checkpoints: Path,
    title: str = "training",
) -> dict[str, Any]:
    """Fine-tune ``model`` in place for ``config.steps`` steps, or, by ``checkpoint``, as long as validation improves.

    Returns:
        ``batches``: how they were made; ``steps``: a list of one row a step, with loss, kind, languages, and
        candidates passed over because they would have been false negatives; ``validation``: loss by step, and
        ``kept``, the step whose weights the model has.
    """
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    if hasattr(model[0], "auto_model"):
        model.max_seq_length = config.max_tokens
    _freeze_word_vectors(model, not config.train_word_vectors)
    _set_up_for_training(model, config.dropout)
    pairs = Pairs.of(data)
    sampler = strategy.sampler(pairs, processes.count())
    dataset = as_dataset(data, pairs)
    last = _last_checkpoint(checkpoints)
    trainer = _trainer(
        model=model,
        args=_arguments(model, config, seed, sampler, checkpoints),
        train_dataset=dataset,
        eval_dataset=_validation_set() if config.checkpoint == "validation" else None,
        loss=MultipleNegativesRankingLoss(
            in_groups(model, _bf16(model, config)), config.scale, gather_across_devices=processes.count() > 1
        ),
    )
    with progress.task(f"training on {title}, {strategy.label}, step", config.steps) as task, encoders.quiet():
        trainer.add_callback(_reporter(task))
        trainer.train(resume_from_checkpoint=last)
        if broken := encoders.not_finite(model):
            raise _diverged(task, trainer.state.global_step, f"the weights {broken} are not finite", trainer.args)
    processes.wait()  # from here on the checkpoints may go
    made = sampler(dataset, batch_size=processes.share(config.batch_size), seed=seed)
    history = trainer.state.log_history
    losses = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    steps = made.log(trainer.state.global_step)
    steps.insert(1, "loss", steps["step"].map(losses).astype(float).round(5))
    model.eval()
    log = {"batches": made.describe(), "steps": json.loads(steps.to_json(orient="records"))}
    if config.checkpoint == "validation":
        validated = {entry["step"]: round(entry["eval_loss"], 5) for entry in history if "eval_loss" in entry}
        log |= {"validation": validated, "kept": min(validated, key=lambda step: (validated[step], step))}
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
    text = (
        "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\n---\n\n"
        f"# {recipe.encoder} fine-tuned on {recipe.train} with {recipe.strategy.label} batches\n\n"
        "A multilingual retriever made by the reproducibility suite for hybrid-batch training "
        "(arXiv 2408.10536). It loads with `SentenceTransformer(folder)`; queries and passages take the prompts "
        "`query` and `document`.\n\n| what | value |\n|---|---|\n" + rows + "\n"
    )
    artifacts.write_text(folder / "README.md", text)


def _arguments(model: Any, config: Config, seed: int, sampler: Any, checkpoints: Path) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    prompts = model.prompts or {}
    documents = prompts.get("document", "")
    interval = max(STEPS_PER_CHECKPOINT, config.steps // CHECKPOINTS)
    choice = {"eval_strategy": "steps", "eval_steps": interval, "load_best_model_at_end": True}
    choice |= {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    choice = choice if config.checkpoint == "validation" else {}
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        max_steps=config.steps,
        per_device_train_batch_size=processes.share(config.batch_size),
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        bf16=_bf16(model, config),
        use_cpu=device.device() == "cpu",
        seed=seed,
        batch_sampler=sampler,
        prompts={"anchor": prompts.get("query", ""), "positive": documents, "negative": documents},
        logging_steps=1,
        logging_nan_inf_filter=False,  # which would show the mean of the steps before in place of a NaN
        save_steps=interval,
        **choice,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        dataloader_drop_last=processes.count() > 1,  # as is asked then; all batches are full
        ddp_find_unused_parameters=_has_unused_pooler(model),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # else one process takes all GPUs, and a batch of the size for each
    return arguments


def _trainer(**arguments: Any) -> Any:
    """The stock trainer without what it prints and guesses: our card says how the model was made."""
    from sentence_transformers import SentenceTransformerTrainer
    from torch.utils.data import DataLoader
    from transformers import EarlyStoppingCallback
    from transformers.trainer_callback import PrinterCallback

    class Trainer(SentenceTransformerTrainer):
        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            """None is added: it would embed sample rows for a widget at each checkpoint."""

        def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
            """Validation rows in their order, not by the batch sampler, which is made for the training rows.

            For several processes accelerate fills the last batch, where it is not full, with the first rows.
            """
            size = self.args.per_device_train_batch_size
            rows = self.eval_dataset if eval_dataset is None else eval_dataset
            return self.accelerator.prepare(DataLoader(rows, batch_size=size, collate_fn=self.data_collator))

    trainer = Trainer(**arguments)
    trainer.remove_callback(PrinterCallback)
    if arguments["eval_dataset"] is not None:
        trainer.add_callback(EarlyStoppingCallback(validation.PATIENCE))
    return trainer


def in_groups(model: "SentenceTransformer", bf16: bool = False) -> Any:
    """The model, embedding the rows of a batch in groups of similar length: 1.3 times as fast as padding all alike.

    The embeddings are the same, so the loss is; only the padding that one long text causes is avoided. Under
    ``bf16`` the groups share one cast of the weights.
    """
    import torch

    class InGroups(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, features: dict[str, Any]) -> dict[str, Any]:
            lengths = features["attention_mask"].sum(1)
            order = lengths.argsort(descending=True, stable=True)
            parts = []
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                for rows in order.chunk(GROUPS):
                    width = int(lengths[rows[0]])
                    part = {k: v[rows, :width] if torch.is_tensor(v) else v for k, v in features.items()}
                    parts.append(self.model(part)["sentence_embedding"])
            return {"sentence_embedding": torch.cat(parts)[order.argsort()]}

    return InGroups() if hasattr(model[0], "auto_model") and device.device() == "cpu" else model


def _reporter(task: progress.Task) -> Any:
    """Shows each step, says which epoch it is, and seals a checkpoint once all processes have written their part."""
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            # The trainer's own word gets lost where batches are dealt to several processes and some are skipped.
            sampler = given["train_dataloader"]
            while hasattr(sampler, "batch_sampler"):
                sampler = sampler.batch_sampler
            sampler.set_epoch(state.global_step // sampler.global_batches)

        def on_step_end(self, args: Any, state: Any, control: Any, **ignored: Any) -> None:
            task.advance(state.global_step - task.done)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **ignored: Any) -> None:
            if not math.isfinite(loss := logs.get("loss", 0.0)):
                raise _diverged(task, state.global_step, f"the loss is {loss}", args)

        def on_save(self, args: Any, state: Any, control: Any, **ignored: Any) -> None:
            processes.wait()
            if processes.rank() == 0:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                artifacts.seal(folder, _stamp(folder))

    return Reporter()


def _diverged(task: progress.Task, step: int, found: str, args: Any) -> UserError:
    """What to say of a training that would come out so each time; its checkpoints go, which hold such weights."""
    if processes.rank() == 0:
        shutil.rmtree(args.output_dir, ignore_errors=True)
    remedy = f"use a smaller learning_rate (it is {args.learning_rate:g}) or scale, or precision=float32"
    return UserError(f"{task.title} {step}: {found}; {remedy}")


def _bf16(model: Any, config: Config) -> bool:
    return device.precision(config.precision) == "bfloat16" and hasattr(model[0], "auto_model")


def _has_unused_pooler(model: Any) -> bool:
    """Whether a transformer comes with the layer of its own that mean pooling does without."""
    return getattr(getattr(model[0], "auto_model", None), "pooler", None) is not None


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint of this training that is whole and undamaged; the trainer would take any."""
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    if processes.rank() == 0:
        while found and not artifacts.intact(found[-1], _stamp(found[-1])):
            shutil.rmtree(found.pop())
    step = processes.told(_step(found[-1]) if found else 0)
    return str(folder / f"checkpoint-{step}") if step else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def _stamp(checkpoint: Path) -> dict[str, str]:
    """What a checkpoint is sealed with: its training (named by the digest of the recipe) and its step."""
    return {"training": checkpoint.parent.name, "step": checkpoint.name}


def _freeze_word_vectors(model: Any, frozen: bool) -> None:
    if hasattr(model[0], "auto_model"):
        model[0].auto_model.get_input_embeddings().weight.requires_grad_(not frozen)


def _set_up_for_training(model: Any, dropout: float | None) -> None:
    """Set the dropout, and on a CPU the attention whose backward pass in bf16 is 1.5 times as fast as the fused one."""
    import torch

    for module in model.modules():
        if dropout is not None and isinstance(module, torch.nn.Dropout):
            module.p = dropout
    if hasattr(model[0], "auto_model") and device.device() == "cpu":
        model[0].auto_model.set_attn_implementation("eager")


def _used(data: ParallelSet) -> Any:
    """Rows of the passages that are relevant to some question, and of explicit negatives: training sees no others."""
    negatives = data.negatives[data.negatives >= 0] if data.negatives is not None else []
    return np.union1d(data.qrels["passage"], negatives).astype(np.int64)
