"""Our training is the stock one, made cheaper: the same losses, step by step, and the same model."""

import random

import numpy as np
import pytest
import synthetic

from lib.base import config
from lib.data import sets as parallel
from lib.encoders import load as encoders
from lib.encoders import vocabulary
from lib.training import fit as training
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy


@pytest.fixture
def questions():
    """Parallel rows of one to twelve words, so that rows of a batch differ much in length."""
    draw = random.Random(0)
    words = ["Where", "is", "Athens", "Wo", "liegt", "tree", "light", "theirs", "Q", "XZ"]

    def text() -> str:
        return " ".join(draw.choices(words, k=draw.randint(1, 12)))

    sides = [{side: {x: text() for x in synthetic.LANGUAGES} for side in "qp"} for _ in range(40)]
    return parallel.from_rows("train", [{"id": str(n), **row} for n, row in enumerate(sides)])


def load(folder):
    model = encoders.load(folder, "cpu")
    model.prompts = {"query": "W: ", "document": "he: "}
    return model


def settings():
    overrides = ["steps=6", "batch_size=12", "warmup_steps=2", "learning_rate=0.001", "dropout=0", "max_tokens=40"]
    return config.load("smoke", overrides).config


def stock(model, data, settings, strategy, folder) -> list[float]:
    """The losses of sentence-transformers' own trainer and loss on the same batches; everything else as it comes."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    pairs = Pairs.of(data)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder), max_steps=settings.steps, per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate, warmup_steps=settings.warmup_steps, weight_decay=settings.weight_decay,
        seed=0, batch_sampler=strategy.sampler(pairs), logging_steps=1, save_strategy="no", report_to="none",
        prompts={"anchor": model.prompts["query"], "positive": model.prompts["document"]}, disable_tqdm=True,
    )  # fmt: skip
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=training.as_dataset(data, pairs),
        loss=MultipleNegativesRankingLoss(model, scale=settings.scale),
    )  # fmt: skip
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("kind", ["bert", "xlm-r"])
def test_losses_and_vectors_are_those_of_the_stock_trainer_in_float32(kind, questions, tmp_path):
    synthetic.write_transformer(kind, tmp_path / kind)
    chosen, strategy = settings(), Strategy("hybrid", 0.5)
    theirs, ours = load(tmp_path / kind), load(tmp_path / kind)
    expected = stock(theirs, questions, chosen, strategy, tmp_path / "stock")
    cut = vocabulary.trim(ours, [*questions.queries["text"], *questions.passages["text"]])
    log = training.fit(ours, questions, strategy, 0, chosen, tmp_path / "checkpoints")
    vocabulary.restore(ours, cut)
    found = [step["loss"] for step in log["steps"]]
    assert found == pytest.approx(expected, abs=2e-4)
    assert max(expected) - min(expected) > 0.01  # something was learned, so that a step that differs would show
    texts = questions.queries["text"].tolist()
    before = load(tmp_path / kind).encode(texts)
    vectors = theirs.eval().encode(texts), ours.encode(texts)
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-3 < np.abs(vectors[0] - before).max()
