"""What a run will cost, before it starts: its seconds on this machine, and what it takes of a GPU.

Seconds follow from what each encoder takes (`lib.encoders.catalog.Effort`) and from how fast this machine is, which is
measured for a second or two when it is first asked for.

What it takes of a GPU are upper estimates from simple formulas, each stated where it is used.

Training takes 6 floating-point operations a parameter and token (2 forward, 4 backward), encoding takes 2. Rows of word
vectors are looked up, not multiplied, and do not count. A GPU does 312e12 a second (A100, bf16), 40% of them usefully.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..base import device, progress
from ..base.config import Config, Run
from ..data import catalog
from ..data.released import mmarco
from ..encoders.catalog import ENCODERS, OTHERS, Encoder
from . import plan as grid

OPERATIONS_PER_SECOND = 312e12 * 0.40
QUERY_TOKENS = 32  # the longest query of a batch, to which the others are padded
TRIPLE = 7_500  # bytes of a query and two passages in seven languages
IN_MEMORY = 7  # times the file's bytes while a training set is read: 6.8 measured on 12,000 made-up rows
START = 5  # seconds before the first step
RANKED = 0.05  # billions of operations that a text takes after it is encoded: ranks, and what is read off the vectors


@dataclass(frozen=True)
class Cost:
    """GPU hours of training and of encoding; bytes of disk, of the GPU's memory and of the machine's."""

    training_hours: float
    encoding_hours: float
    disk: float
    gpu_memory: float
    memory: float

    def __str__(self) -> str:
        """For people, a line each."""
        hours = self.training_hours + self.encoding_hours
        return (
            f"GPU hours   {hours:.1f} (training {self.training_hours:.1f}, encoding {self.encoding_hours:.1f}), "
            "on one A100 with bf16 at 40% of its peak\n"
            f"disk        {self.disk / 1e9:.0f} GB: downloads, encoder, checkpoints, trained models\n"
            f"GPU memory  {self.gpu_memory / 1e9:.0f} GB\n"
            f"memory      {self.memory / 1e9:.0f} GB"
        )


def work(cell: grid.Cell, config: Config) -> tuple[int, int]:
    """Steps of training, and texts that are encoded; held-out questions share the pool of all questions."""
    pools = {catalog.base(name) for name in grid.evaluated(cell, config)}
    steps = cell.settings(config).steps if cell.train != grid.NONE else 0
    return steps, sum(_texts(name, config) for name in pools)


def gpu(run: Run) -> Cost:
    """What all cells of a run cost together, one after the other on one GPU."""
    config, planned = run.config, grid.plan(run.config)
    training = encoding = disk = gpu_memory = weights = 0.0
    for encoder in config.encoder:
        size, own = _known(encoder).size, config.of(encoder)
        found = [work(cell, config) for cell in planned if cell.encoder == encoder]
        tokens = tokens_per_step(own)
        training += sum(steps for steps, _ in found) * 6 * size.transformer * tokens
        encoding += sum(texts for _, texts in found) * own.max_tokens * 2 * size.transformer
        disk += size.weights * (1 + sum(steps > 0 for steps, _ in found))  # each trained model is kept
        # Weights, gradients and the two moments; activations of 34 bytes a token, layer and hidden unit, in 16 bits and
        # with fused attention (Korthikanti et al. 2022).
        gpu_memory = max(gpu_memory, 4 * size.weights + tokens * 34 * 12 * size.hidden)
        weights = max(weights, size.weights)
    triples = TRIPLE * mmarco.TRIPLES if "mmarco" in config.train else 0
    rows = [catalog.SETS[name] for name in {*config.train, *config.eval} if name in catalog.SETS]
    return Cost(
        training_hours=training / OPERATIONS_PER_SECOND / 3600,
        encoding_hours=encoding / OPERATIONS_PER_SECOND / 3600,
        # Two checkpoints are kept, with AdamW's two moments a parameter.
        disk=sum(row.download for row in rows) + triples + disk + 2 * 3 * weights,
        gpu_memory=gpu_memory,
        memory=2 * weights + IN_MEMORY * triples + 2e9,
    )


def seconds(run: Run, cells: Iterable[grid.Cell], speed: float | None = None) -> float:
    """Seconds that cells will about take, at a speed in billions of operations a second; by default this machine's."""
    total = 0.0
    for cell in cells:
        effort, config = _known(cell.encoder).effort, cell.settings(run.config)
        precision = device.precision(config.precision) if effort == OTHERS else "float32"
        second = speed or device.operations_per_second(precision) / 1e9
        steps, texts = work(cell, run.config)
        if steps:
            total += START + steps * effort.step * config.batch_size / 32 / second
        total += texts * (effort.text + RANKED) / second
    return total


def text(run: Run, cells: Sequence[grid.Cell]) -> str:
    """How long cells take, for people: ``about 20 min of computing``."""
    return f"about {progress.duration(max(60.0, seconds(run, cells)))} of computing" if cells else "no training"


def tokens_per_step(config: Config) -> int:
    """Tokens of a batch at most: a query and a passage a row, and a second passage where triples are trained on."""
    passages = 2 if "mmarco" in config.train else 1
    return config.batch_size * (min(QUERY_TOKENS, config.max_tokens) + passages * config.max_tokens)


def _texts(name: str, config: Config) -> int:
    """The queries and passages of a set: as the catalogue says, else counted."""
    if name in catalog.SETS and (known := catalog.SETS[name].texts):
        return known
    held_out = name in catalog.SETS and name not in catalog.EVALUATED  # parallel-docs is scored in part only
    chosen = catalog.evaluation_set(f"{name}{catalog.HELDOUT}" if held_out else name, config.candidates)
    return len(chosen.queries) + len(chosen.passages)


def _known(encoder: str) -> Encoder:
    """What the catalogue says of an encoder; one that is not listed is taken for XLM-R base, and for the slowest."""
    return ENCODERS.get(encoder) or Encoder(encoder, None)
