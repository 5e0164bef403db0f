"""sentence-transformers' trainer as `lib.training` uses it: its arguments, what it reports, and what it is spared."""

import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import device, processes, progress
from ..base.config import Config
from ..base.errors import UserError
from ..data.released import squadshifts as validation
from ..encoders import encode as embedding
from ..encoders import vocabulary
from . import checkpoints

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

GROUPS = 4
TRACKER = "HYBRID_REPORT_TO"


def prepare(model: Any, config: Config) -> None:
    """Set what of a model does not come with its weights: limit of length, frozen word vectors, dropout, attention.

    On a CPU the backward pass of the plain attention in bf16 is 1.5 times as fast as that of the fused one.
    """
    import torch

    for module in model.modules():
        if config.dropout is not None and isinstance(module, torch.nn.Dropout):
            module.p = config.dropout
    embedding.cut(model, config.max_tokens)
    words = vocabulary.word_vectors(model).weight
    if any(weights is not words for weights in model.parameters()):  # else there is nothing else to learn
        words.requires_grad_(config.train_word_vectors)
    if hasattr(model[0], "auto_model") and device.device() == "cpu":
        model[0].auto_model.set_attn_implementation("eager")


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
                    used = features["attention_mask"][rows].any(0).nonzero()  # padding may stand on either side
                    kept = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(None)
                    part = {k: _part(v, rows, kept, len(lengths)) for k, v in features.items()}
                    parts.append(self.model(part)["sentence_embedding"])
            return {"sentence_embedding": torch.cat(parts)[order.argsort()]}

    return InGroups() if hasattr(model[0], "auto_model") and device.device() == "cpu" else model


def _part(value: Any, rows: Any, columns: slice, count: int) -> Any:
    """Of what is known of each token the rows and columns, of what is known of each text the rows; the rest whole."""
    import torch

    if not torch.is_tensor(value) or value.ndim == 0 or len(value) != count:
        return value
    return value[rows, columns] if value.ndim > 1 else value[rows]


def tracker() -> str:
    """The experiment tracker that ``HYBRID_REPORT_TO`` names, as the trainer calls it, such as ``trackio``; else none.

    It is no key of a configuration, since it changes nothing that is trained.

    Raises:
        UserError: the trainer does not know it, or it is not installed.
    """
    wanted = os.environ.get(TRACKER) or "none"
    if wanted == "none":
        return wanted
    from transformers.integrations import integration_utils as trackers

    if wanted not in trackers.INTEGRATION_TO_CALLBACK:
        known = ", ".join(trackers.INTEGRATION_TO_CALLBACK)
        raise UserError(f"{TRACKER}={wanted}: there is no such tracker; choose one of {known}, or none")
    if wanted not in trackers.get_available_reporting_integrations():
        raise UserError(f"{TRACKER}={wanted}: it is not installed; install its package, or set {TRACKER}=none")
    return wanted


def similarity(model: Any) -> Any:
    """The function that the loss scores with: the one by which the model's passages are ranked."""
    from sentence_transformers import util

    return util.dot_score if model.similarity_fn_name == "dot" else util.cos_sim


def prompts(model: Any) -> dict[str, str]:
    """What goes before the texts of each column of the training data."""
    known = model.prompts or {}
    documents = known.get("document", "")
    return {"anchor": known.get("query", ""), "positive": documents, "negative": documents}


def arguments(model: Any, config: Config, seed: int, sampler: Any, folder: Path, title: str) -> Any:
    """The trainer's arguments; checkpoints go to ``folder``, the batch size is this process's share.

    Args:
        title: what a tracker calls the training.
    """
    from sentence_transformers import SentenceTransformerTrainingArguments

    interval = checkpoints.interval(config.steps)
    choice = {"eval_strategy": "steps", "eval_steps": interval, "load_best_model_at_end": True}
    choice |= {"restore_callback_states_from_checkpoint": True}  # how long the loss has not fallen
    choice |= {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    choice = choice if config.checkpoint == "validation" else {}
    made = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=processes.share(config.batch_size),
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        bf16=in_bf16(model, config),
        use_cpu=device.device() == "cpu",
        seed=seed,
        batch_sampler=sampler,
        prompts=prompts(model),
        logging_steps=1,
        logging_nan_inf_filter=False,  # which would show the mean of the steps before in place of a NaN
        save_steps=interval,
        **choice,
        save_total_limit=2,
        report_to=tracker(),
        project="hybrid-batches",
        run_name=title,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        dataloader_drop_last=processes.count() > 1,  # as is asked then; all batches are full
        ddp_find_unused_parameters=_has_unused_pooler(model),
    )
    made._n_gpu = min(made.n_gpu, 1)  # else one process takes all GPUs, and a batch of the size for each
    return made


def make(**arguments: Any) -> Any:
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

    made = Trainer(**arguments)
    made.remove_callback(PrinterCallback)
    if arguments["eval_dataset"] is not None:
        made.add_callback(EarlyStoppingCallback(validation.PATIENCE))
    return made


def reporter(task: progress.Task) -> Any:
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
                raise diverged(task, state.global_step, f"the loss is {loss}", args)

        def on_save(self, args: Any, state: Any, control: Any, **ignored: Any) -> None:
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return Reporter()


def diverged(task: progress.Task, step: int, found: str, args: Any) -> UserError:
    """What to say of a training that would come out so each time; its checkpoints go, which hold such weights."""
    if processes.rank() == 0:
        shutil.rmtree(args.output_dir, ignore_errors=True)
    remedy = f"use a smaller learning_rate (it is {args.learning_rate:g}) or scale, or precision=float32"
    return UserError(f"{task.title} {step}: {found}; {remedy}")


def in_bf16(model: Any, config: Config) -> bool:
    """Whether the transformer is to run in bf16, and there is one."""
    return embedding.runs_in(model, config.precision) == "bfloat16"


def _has_unused_pooler(model: Any) -> bool:
    """Whether a transformer comes with the layer of its own that mean pooling does without."""
    return getattr(getattr(model[0], "auto_model", None), "pooler", None) is not None
