"""A training of a tiny transformer that writes down what it saw; run alone, or by each of several processes.

``python distributed_worker.py ENCODER FOLDER NAMES [KILL_AT]`` trains once for each of the names, with checkpoints in
``FOLDER/NAME``, and writes ``FOLDER/NAME.RANK.json`` and ``.npz``. The second process kills itself at step KILL_AT. A
training named ``validated`` keeps the checkpoint of the lowest validation loss.
"""

import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import synthetic

from lib.base import config, processes
from lib.data import sets as parallel
from lib.data.released import squadshifts as validation
from lib.encoders import load as encoders
from lib.training import checkpoints
from lib.training import fit as training
from lib.training.sampling import Strategy

STRATEGY, SEED, BATCH = Strategy("hybrid", 0.5), 7, 8
SETTINGS = ["warmup_steps=2", f"batch_size={BATCH}", "steps=13", "dropout=0"]
SETTINGS += ["precision=float32"]
EVERY = 3  # steps to a checkpoint; an epoch has 5
VALIDATED = 16  # questions, the first ones, in English


def rows() -> list[dict]:
    """Questions and passages that begin with a word of their own, and are one to six words long."""
    found = synthetic.rows(40, passages=36)
    for number, row in enumerate(found):
        for side in "qp":
            row[side] = {
                language: " ".join([word] + ["and"] * (number % 36 % 6)) for language, word in row[side].items()
            }
    return found


def write_encoder(folder: Path) -> None:
    """Save a BERT of two layers with random weights, its unused pooler among them, and one token for each word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = dict.fromkeys(
        word for row in rows() for side in "qp" for text in row[side].values() for word in text.split()
    )
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    ).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=16, **sizes))
    torch.nn.init.normal_(model.embeddings.word_embeddings.weight)
    model.save_pretrained(folder)


def fit(encoder: Path, folder: Path, kill_at: int | None = None) -> tuple[dict, list[list[str]], dict]:
    """Train, into a folder that says how; returns the log, the first words of this process's texts step by step, and
    the weights.
    """
    way = ["checkpoint=validation", "learning_rate=0.03"] if folder.name == "validated" else ["learning_rate=0.003"]
    asked, other = rows()[:VALIDATED], rows()[1 : VALIDATED + 1]  # wrong answers, so that the loss comes to rise
    held_out = [(row["q"]["en"], wrong["p"]["en"]) for row, wrong in zip(asked, other, strict=True)]
    model = encoders.load(encoder, "cpu")
    word_of = {number: word for word, number in model.tokenizer.get_vocab().items()}
    share, seen = 2 * processes.share(BATCH), []

    def record(module, arguments) -> None:
        if not module.training:  # saving embeds an example
            return
        if kill_at is not None and processes.rank() == 1 and len(seen) == kill_at * share:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.extend(word_of[ids[0]] for ids in arguments[0]["input_ids"].tolist())

    model.register_forward_pre_hook(record)
    data = parallel.from_rows("made up", rows())
    chosen = config.load("smoke", [*SETTINGS, *way]).config
    with mock.patch.object(checkpoints, "STEPS", EVERY), mock.patch.object(validation, "pairs", lambda: held_out):
        log = training.fit(model, data, STRATEGY, SEED, chosen, folder)
    steps = [sorted(seen[start : start + share]) for start in range(0, len(seen), share)]
    return log, steps, {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def main(encoder: str, folder: str, names: str, kill_at: str = "") -> None:
    for name in names.split(","):
        out = Path(folder, f"{name}.{processes.rank()}")
        log, seen, weights = fit(Path(encoder), Path(folder, name), int(kill_at) if kill_at else None)
        out.with_suffix(out.suffix + ".json").write_text(json.dumps({"log": log, "seen": seen}))
        np.savez(out.with_suffix(out.suffix + ".npz"), **weights)
    processes.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
