"""Tiny random encoders that declare what people's encoders declare, one folder each."""

import json
from pathlib import Path
from typing import Any

import synthetic

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,?'0123456789"


def word_piece(folder: Path, **options: Any) -> None:
    """Write a WordPiece tokenizer of single letters: it has an unknown token for other scripts."""
    from transformers import BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(words)}, do_lower_case=False, **options)
    tokenizer.save_pretrained(folder)


def transformer(
    folder: Path, kind: str = "bert", dtype: str = "float32", side: str = "right", length: int = 64
) -> None:
    """Write a plain transformer: ``bert``, ``xlm-r`` (over a Unigram tokenizer), ``qwen`` (a causal one) or ``t5``."""
    import torch
    from transformers import BertConfig, BertModel, Qwen2Config, Qwen2Model, T5Config, T5Model

    torch.manual_seed(0)
    if kind == "xlm-r":
        synthetic.write_transformer("xlm-r", folder)
    elif kind == "bert":
        word_piece(folder, model_max_length=length)
        BertModel(BertConfig(vocab_size=200, max_position_embeddings=128, **SIZES)).save_pretrained(folder)
    elif kind == "t5":
        word_piece(folder, model_max_length=length)
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
        T5Model(T5Config(vocab_size=200, **sizes)).save_pretrained(folder)
    else:
        word_piece(folder, model_max_length=length)
        sizes = {**SIZES, "num_key_value_heads": 2, "vocab_size": 200, "max_position_embeddings": 128}
        Qwen2Model(Qwen2Config(pad_token_id=0, **sizes)).save_pretrained(folder)
    edit(folder, "tokenizer_config.json", padding_side=side)
    if dtype != "float32":
        halve(folder, dtype)


def halve(folder: Path, dtype: str) -> None:
    """Store the weights in half precision, and say so, as `save_pretrained` does."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights = {name: tensor.to(getattr(torch, dtype)) for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, "config.json", dtype=dtype)


def edit(folder: Path, name: str, **values: Any) -> None:
    """Change values of a JSON file in a folder; None removes one."""
    path = folder / name
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({key: value for key, value in (found | values).items() if value is not None}))


def whole(
    folder: Path,
    kind: str = "bert",
    pooling: str = "mean",
    dense: bool = False,
    norm: bool = True,
    include_prompt: bool = True,
    settings: dict[str, Any] | None = None,
    do_lower_case: bool = False,
    **plain: Any,
) -> Path:
    """Write a SentenceTransformer over such a transformer, or (kind ``static``) over word vectors.

    Args:
        settings: for ``config_sentence_transformers.json``: prompts, similarity_fn_name, truncate_dim.
    """
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    if kind == "static":
        modules = [synthetic.encoder([*LETTERS, "Athens", "the"], 16)[0]]
    else:
        transformer(folder / "plain", kind, **plain)
        first = Transformer(str(folder / "plain"), do_lower_case=do_lower_case)
        modules = [first, Pooling(first.get_embedding_dimension(), pooling, include_prompt=include_prompt)]
    modules += [Dense(modules[0].get_embedding_dimension(), 12)] if dense else []
    modules += [Normalize()] if norm else []
    of_modules(folder / "whole", *modules)
    edit(folder / "whole", "config_sentence_transformers.json", **(settings or {}))
    return folder / "whole"


def of_modules(folder: Path, *modules: Any) -> Path:
    """Write a SentenceTransformer of these modules."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=list(modules), device="cpu").save(str(folder), create_model_card=False)
    return folder
