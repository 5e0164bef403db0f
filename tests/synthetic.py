"""Small made-up inputs for the tests: parallel rows, and a tiny encoder that has one token for each word."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LANGUAGES = ("de", "en", "zh")
PIECES = ["▁", *"Wherolitg?0123456789", "▁Where", "▁is", "▁A", "th", "ens", "▁Athens", "▁Wo"]


def rows(questions: int, languages: Iterable[str] = LANGUAGES, passages: int | None = None) -> list[dict]:
    """Fully parallel rows of one-word texts; question n is answered by passage n modulo ``passages``."""
    passages = passages or questions
    return [
        {
            "id": str(n),
            "q": {language: f"q{n}{language}" for language in languages},
            "p": {language: f"p{n % passages}{language}" for language in languages},
        }
        for n in range(questions)
    ]


def own_files(folder: Path) -> list[str]:
    """Write training rows, test rows and an encoder for them, as a person would bring; returns the overrides."""
    for name in ("train", "test"):
        own = [row | {"split": name} for row in rows(24)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    words = [text for row in own for side in "qp" for text in row[side].values()]
    encoder(words).save(str(folder / "tiny"), create_model_card=False)
    return [f"encoder={folder / 'tiny'}", f"train={folder / 'train.jsonl'}", f"eval={folder / 'test.jsonl'}"]


class Interrupted(Exception):
    """Stands for whatever ends a training before its time."""


@contextmanager
def folders(place: Path) -> Iterator[pytest.MonkeyPatch]:
    """Results and a store in ``place``, for a fixture that serves a whole module; what else is patched ends with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRID_RESULTS", str(place / "results"))
        patch.setenv("HYBRID_STORE", str(place / "store"))
        yield patch


SHORT = ["steps=4", "batch_size=8", "warmup_steps=1", "strategies=[none,hybrid]"]


def finished(place: Path):
    """A short run of `smoke` on `own_files`, both cells finished, for tests to copy (see `copied`)."""
    from lib.base import config
    from lib.runs import cells, plan

    with folders(place):
        run = config.load("smoke", [*own_files(place), *SHORT])
        for cell in plan.plan(run.config):
            cells.finish(run, cell)
    return run, place


def copied(made, own_folders: Path):
    """A finished run as it was made, in the folders of a test."""
    from lib.base import config

    run, place = made
    for part in ("results", "store"):
        shutil.copytree(place / part, own_folders / part)
    return config.load("smoke", run.overrides)


def store_with(kept: Path, place: Path, *kinds: str) -> None:
    """A store in ``place`` with nothing but the encoders, and other ``kinds``, that a session's tests have made."""
    (place / "store").mkdir()
    for kind in ("encoders", *kinds):
        (kept / kind).mkdir(exist_ok=True)
        (place / "store" / kind).symlink_to(kept / kind)


def encoder(words: Iterable[str], dimension: int = 8):
    """A StaticEmbedding model over whole words, with vectors that are always the same."""
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(["[UNK]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), dimension)).astype(np.float32)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu")


def fingerprint(model) -> str:
    """SHA-256 (hexadecimal) over the names, types, shapes and bytes of all weights of a SentenceTransformer."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def small_static(folder: Path) -> None:
    """Write the encoder `static` with its likeliest pieces and those of the facts: 20,000 word vectors of 250,000.

    It is what most tests of a run need, and is read in a tenth of the time.
    """
    from lib.data import catalog
    from lib.encoders import load, vocabulary

    model = load.load("static", device="cpu")
    pieces = json.loads(vocabulary.tokenizer_of(model).to_str())["model"]["vocab"]
    facts = catalog.evaluation_set("facts")
    texts = [*facts.queries["text"], *facts.passages["text"]]
    vocabulary.trim(model, [*texts, *(piece.replace("▁", " ") for piece, _ in pieces[:20_000])])
    load.save(model, folder)


def unigram_tokenizer(letters: str = ""):
    """A Unigram tokenizer with XLM-R's control tokens first, a mask token last, and rare letters, and further ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    control = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    ordinary = [(piece, -2.0 - index / 7) for index, piece in enumerate([*PIECES, *letters])]
    rare = [(letter, -9.0) for letter in "QXZ"] + [("rarest", -12.0)]
    backend = Tokenizer(models.Unigram([*control, *rare, *ordinary, ("<mask>", 0.0)], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return backend


def write_labse(folder):
    """A tiny random encoder laid out as LaBSE's folder: BERT, its first token, a dense layer with tanh, length 1.

    It knows a few letters of each script, so that no language's texts are all one to it.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    write_transformer("bert", folder / "bert", "المنيةαειοτνаеиностานรกเाकेरन国大尔斯亚拉")
    layers = [Transformer(str(folder / "bert")), Pooling(8, "cls"), Dense(8, 8), Normalize()]
    SentenceTransformer(modules=layers, device="cpu").save(str(folder), create_model_card=False)


def write_transformer(kind: str, folder, letters: str = ""):
    """A tiny random BERT or XLM-R over `unigram_tokenizer`, with spare rows of vectors, as a plain folder."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=unigram_tokenizer(letters), model_max_length=40, bos_token="<s>", cls_token="<s>",
        eos_token="</s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip
    config, model = {"bert": (BertConfig, BertModel), "xlm-r": (XLMRobertaConfig, XLMRobertaModel)}[kind]
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"vocab_size": len(tokenizer) + 5, "max_position_embeddings": 64}
    model(config(pad_token_id=1, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
