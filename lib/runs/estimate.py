"""What a run will cost on a GPU, before it starts: upper estimates from simple formulas, each stated where it is used.

Training takes 6 floating-point operations a parameter and token (2 forward, 4 backward), encoding takes 2. Rows of word
vectors are looked up, not multiplied, and do not count. A GPU does 312e12 a second (A100, bf16), 40% of them usefully.
"""

from dataclasses import dataclass
from typing import NamedTuple

from lib.base.config import Config, Run
from lib.data import mmarco
from lib.runs import plan as grid

OPERATIONS_PER_SECOND = 312e12 * 0.40
QUERY_TOKENS = 32  # the longest query of a batch, to which the others are padded
DOWNLOADS = {"mmarco": 33.2e9, "miracl-dev": 16.2e9}  # bytes; mMARCO: collections 27.9e9, English 4.1e9, triples 0.9e9
# Queries and candidates (tables 10 and 11 of the paper; MIRACL in our languages, German as ir_datasets counts it).
TEXTS = {"xquad-r": 26_104, "mlqa-r": 24_733, "miracl-dev": 76_728_875}
TRIPLE = 7_500  # bytes of a query and two passages in seven languages
IN_MEMORY = 7  # times the file's bytes while a training set is read: 6.8 measured on 12,000 made-up rows


class Size(NamedTuple):
    """Parameters that are multiplied, those of the word vectors, and the hidden size; 12 layers each."""

    transformer: float
    vectors: float
    hidden: int


BASE = Size(86.0e6, 192.0e6, 768)  # XLM-R base; also what an encoder that is not listed is taken for
SMALL = Size(21.6e6, 96.0e6, 384)
SIZES = {"labse": Size(86.0e6, 384.9e6, 768), "e5-small": SMALL, "e5-small-q4": SMALL, "static": Size(0, 96.0e6, 384)}


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


def estimate(run: Run) -> Cost:
    """What all cells of a run cost together, one after the other on one GPU."""
    config, planned = run.config, grid.plan(run.config)
    size = SIZES.get(config.encoder[0], BASE)
    trained = sum(cell.train != grid.NONE for cell in planned)
    texts = sum(TEXTS.get(name, 0) for cell in planned for name in _pools(cell, config))
    weights = 4 * (size.transformer + size.vectors)
    tokens = tokens_per_step(config)
    triples = TRIPLE * mmarco.TRIPLES if "mmarco" in config.train else 0
    downloads = sum(DOWNLOADS.get(name, 0) for name in {*config.train, *config.eval})
    return Cost(
        training_hours=trained * config.steps * 6 * size.transformer * tokens / OPERATIONS_PER_SECOND / 3600,
        encoding_hours=texts * config.max_tokens * 2 * size.transformer / OPERATIONS_PER_SECOND / 3600,
        # Each trained model is kept; two checkpoints are, with AdamW's two moments a parameter.
        disk=downloads + triples + weights * (1 + trained + 2 * 3),
        # Weights, gradients and the two moments; activations of 34 bytes a token, layer and hidden unit, in 16 bits and
        # with fused attention (Korthikanti et al. 2022).
        gpu_memory=4 * weights + tokens * 34 * 12 * size.hidden,
        memory=2 * weights + IN_MEMORY * triples + 2e9,
    )


def tokens_per_step(config: Config) -> int:
    """Tokens of a batch at most: a query and a passage a row, and a second passage where triples are trained on."""
    passages = 2 if "mmarco" in config.train else 1
    return config.batch_size * (min(QUERY_TOKENS, config.max_tokens) + passages * config.max_tokens)


def _pools(cell: grid.Cell, config: Config) -> set[str]:
    """The pools that a cell encodes; held-out questions share that of all questions."""
    return {name.removesuffix("-heldout") for name in grid.evaluated(cell, config)}
