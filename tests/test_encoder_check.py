"""What is promised of encoders that people bring: used as sentence-transformers uses them, or refused in one line."""

import dataclasses
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import odd_encoders
import pytest
import synthetic
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.modules import (
    BoW,
    CLIPModel,
    Dropout,
    LayerNorm,
    Pooling,
    Transformer,
    WordWeights,
)  # fmt: skip

from lib.base import config
from lib.base.errors import UserError
from lib.data import sets as parallel
from lib.encoders import encode as embedding
from lib.encoders import files as encoder_files
from lib.encoders import hub, vocabulary
from lib.encoders import load as encoders
from lib.runs import cells, encoder_check
from lib.runs import plan as grid
from lib.runs import preflight as checks
from lib.training import fit as training
from lib.training import trainer
from lib.training.sampling import Strategy

CONFIG = config.load("smoke", ["max_tokens=32", "steps=4", "warmup_steps=1", "batch_size=8"]).config
TEXTS = ["Athens", "the house at the river and what became of it in the end", "Wo", "最近的药店", "a b c d e f " * 12]


def taken(folder, trained=True, chosen=CONFIG):
    """The encoder after its trial."""
    encoder_check.as_meant(folder, chosen, trained)
    return encoders.load(folder, "cpu")


def own(folder, kind, max_tokens=32):
    """What sentence-transformers makes of a folder, each text by itself, as it enters a score."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    embedding.cut(model, max_tokens)
    encode = model.encode_query if kind == "query" else model.encode_document
    vectors = np.stack([encode(text) for text in TEXTS]).astype(np.float64)
    return vectors if model.similarity_fn_name == "dot" else vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def ours(folder, kind):
    model = encoders.load(folder, "cpu")
    embedding.cut(model, 32)
    return embedding.encode(model, TEXTS, kind)


FOLDERS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["bert", "qwen", "xlm-r", "static"]),
        "pooling": st.sampled_from(["mean", "cls", "lasttoken", "max"]),
        "side": st.sampled_from(["right", "left"]),
        "dtype": st.sampled_from(["float32", "float16", "bfloat16"]),
        "dense": st.booleans(),
        "norm": st.booleans(),
        "include_prompt": st.booleans(),
        "settings": st.fixed_dictionaries(
            {},
            optional={
                "similarity_fn_name": st.sampled_from(["cosine", "dot", "euclidean"]),
                "prompts": st.sampled_from([{"query": "q: ", "document": "the "}, {"query": "Wo ", "document": ""}]),
                "truncate_dim": st.sampled_from([4, 8]),
                "default_prompt_name": st.just("query"),
            },
        ),
    }
)


@given(FOLDERS)
@settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
def test_whatever_a_folder_declares_its_vectors_are_its_own_or_it_is_refused(tmp_path, declared):
    shutil.rmtree(tmp_path, ignore_errors=True)
    if declared["kind"] == "static":
        declared = {key: value for key, value in declared.items() if key not in ("side", "dtype")}
    if "prompts" not in declared["settings"]:
        declared["settings"].pop("default_prompt_name", None)
    folder = odd_encoders.whole(tmp_path, **declared)
    try:
        taken(folder)
    except UserError as error:
        assert "\n" not in str(error)
        refused = declared["settings"].get("similarity_fn_name") == "euclidean" or declared.get("side") == "left"
        assert refused, error
        return
    for kind in ("query", "document"):
        np.testing.assert_allclose(ours(folder, kind), own(folder, kind), atol=2e-3)


# --- scores ---


def test_an_encoder_made_for_the_cosine_is_scored_by_it_though_it_ends_without_a_norm(tmp_path):
    folder = odd_encoders.whole(tmp_path, "static", norm=False, settings={"similarity_fn_name": "cosine"})
    taken(folder)
    np.testing.assert_allclose(np.linalg.norm(ours(folder, "query"), axis=1), 1, atol=1e-6)


def test_an_encoder_made_for_the_dot_product_keeps_its_lengths_and_learns_by_it(tmp_path):
    from sentence_transformers import util

    folder = odd_encoders.whole(tmp_path, "static", norm=False, settings={"similarity_fn_name": "dot"})
    model = taken(folder)
    np.testing.assert_allclose(ours(folder, "query"), own(folder, "query"), atol=1e-5)
    assert np.ptp(np.linalg.norm(ours(folder, "query"), axis=1)) > 0.1
    assert trainer.similarity(model) is util.dot_score
    model.similarity_fn_name = "cosine"
    assert trainer.similarity(model) is util.cos_sim


# --- training sees what encode sees ---


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_groups_of_a_batch_keep_a_text_s_vector_on_whichever_side_it_is_padded(side, tmp_path):
    import torch

    folder = odd_encoders.whole(tmp_path, "qwen", "lasttoken", side=side)
    model = taken(folder)
    embedding.cut(model, 32)
    features = model.preprocess(TEXTS)
    with torch.inference_mode():
        grouped = trainer.in_groups(model)(dict(features))["sentence_embedding"].numpy()
    np.testing.assert_allclose(grouped, own(folder, "document"), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_stored_in_half_precision_are_trained_in_float32_and_all_move(dtype, tmp_path):
    import torch

    folder = odd_encoders.whole(tmp_path, "bert", dtype=dtype)
    model = taken(folder)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    rows = [row | {"split": "train"} for row in synthetic.rows(16)]
    own_config = dataclasses.replace(CONFIG, learning_rate=1e-4, precision="float32", train_word_vectors=True)
    training.fit(model, parallel.from_rows("x", rows), Strategy("x-y"), 0, own_config, tmp_path / "halfway")
    moved = [name for name, weights in model.named_parameters() if (weights != before[name]).float().mean() > 0.5]
    assert "0.model.encoder.layer.0.attention.output.dense.weight" in moved
    model.save(str(tmp_path / "trained"), create_model_card=False)
    assert encoders.load(tmp_path / "trained", "cpu")[0].auto_model.config.dtype in (torch.float32, "float32")


def test_rotary_positions_keep_their_precision_in_bf16_and_the_model_is_as_before(tmp_path):
    import torch

    model = encoders.load(odd_encoders.whole(tmp_path, kind="qwen"), "cpu")
    before, seen = embedding.encode(model, TEXTS, "query"), {}
    inner = model[0].auto_model
    inner.norm.register_forward_pre_hook(lambda *_: seen.update(inner.state_dict(), **dict(inner.named_buffers())))
    half = embedding.encode(model, TEXTS, "query", "bfloat16")
    rotary = {name: found.dtype for name, found in seen.items() if "inv_freq" in name}
    assert rotary and set(rotary.values()) == {torch.float32}
    assert seen["norm.weight"].dtype == torch.bfloat16 and not np.array_equal(half, before)
    np.testing.assert_array_equal(embedding.encode(model, TEXTS, "query"), before)


def test_a_token_added_to_a_unigram_tokenizer_survives_the_cut_of_the_vocabulary(tmp_path):
    from transformers import AutoTokenizer

    odd_encoders.transformer(tmp_path / "plain", "xlm-r")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    tokenizer.add_tokens(["<ent>"])
    tokenizer.save_pretrained(tmp_path / "plain")
    model = taken(tmp_path / "plain")
    texts = [*TEXTS, "Where is <ent>?"]
    before = model.encode(texts)
    cut = vocabulary.trim(model, texts)
    assert cut is not None and len(cut.kept) < len(cut.vectors)
    np.testing.assert_allclose(model.encode(texts), before, atol=1e-6)
    vocabulary.restore(model, cut)
    np.testing.assert_allclose(model.encode(texts), before, atol=1e-6)


def test_a_trial_notices_vectors_that_differ_in_training_alone(tmp_path, monkeypatch):
    import torch

    class Halved(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, features):
            half = {k: v[:, : v.shape[1] // 2] if torch.is_tensor(v) else v for k, v in features.items()}
            return self.model(half)

    folder = odd_encoders.whole(tmp_path, "bert")
    monkeypatch.setattr(trainer, "in_groups", Halved)
    with pytest.raises(UserError, match=r"in training the query '.*' has another vector .*cosine 0\.\d+"):
        taken(folder)
    encoder_check.as_meant(folder, CONFIG, trained=False)


def test_a_trial_notices_vectors_that_are_not_those_of_sentence_transformers(tmp_path, monkeypatch):
    folder = odd_encoders.whole(tmp_path, "bert")
    monkeypatch.setattr(embedding, "encode", lambda model, texts, kind: np.eye(len(texts), 16, dtype=np.float32))
    with pytest.raises(UserError, match="the query '.*' has another vector"):
        taken(folder)


# --- what is refused, and why ---


def router(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    parts = {f"{kind}_modules": [synthetic.encoder(["a", kind])[0]] for kind in ("query", "document")}
    model = SentenceTransformer(modules=[Router.for_query_document(**parts)], device="cpu")
    model.save(str(tmp_path / "router"), create_model_card=False)
    return tmp_path / "router"


def unpadded(tmp_path):
    folder = odd_encoders.whole(tmp_path, "bert")
    odd_encoders.edit(folder, "tokenizer_config.json", pad_token=None, tokenizer_class="PreTrainedTokenizerFast")
    return folder


def short_of_vectors(tmp_path):
    folder = odd_encoders.whole(tmp_path, "bert")
    odd_encoders.word_piece(folder, additional_special_tokens=[f"<{n}>" for n in range(90)])
    return folder


def bag_of_words(tmp_path):
    return odd_encoders.of_modules(tmp_path / "bag", BoW(vocab=["a", "b"]))


def of_images(tmp_path):
    """What the folder declares is enough: it is refused before any of it is loaded."""
    folder = odd_encoders.whole(tmp_path)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = f"{CLIPModel.__module__}.CLIPModel"
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def weighted_words(tmp_path):
    """Its weights stand by the number of a token, which another token has once the vocabulary is cut."""
    odd_encoders.transformer(tmp_path / "plain", "xlm-r")
    first = Transformer(str(tmp_path / "plain"))
    words = sorted(first.tokenizer.get_vocab(), key=first.tokenizer.get_vocab().get)
    weights = WordWeights(words, {word: 0.1 + number % 7 for number, word in enumerate(words)})
    return odd_encoders.of_modules(tmp_path / "whole", first, weights, Pooling(first.get_embedding_dimension()))


def classifier(head):
    def make(tmp_path):
        odd_encoders.transformer(tmp_path / "plain")
        odd_encoders.edit(tmp_path / "plain", "config.json", architectures=[f"BertFor{head}"])
        return tmp_path / "plain"

    return make


def declared(**values):
    return lambda tmp_path: odd_encoders.whole(tmp_path, "static", settings=values)


REFUSED = [
    ("a router of two encoders", router, "begins with a module Router: what is taken begins with Transformer or "),
    ("no padding token", unpadded, "tokenizer without a padding token, so texts cannot share a batch"),
    ("more tokens than word vectors", short_of_vectors, "a tokenizer with ids up to .*, and word vectors up to 199"),
    ("a distance", declared(similarity_fn_name="manhattan"), "similarity manhattan: .* by cosine or dot alone"),
    ("a sparse encoder", declared(model_type="SparseEncoder"), "is a SparseEncoder: .* one dense vector a text"),
    ("one of many vectors a text", declared(model_type="MultiVectorEncoder"), "is a MultiVectorEncoder: .* one dense "),
    ("a bag of words", bag_of_words, "begins with a module BoW: what is taken begins with Transformer or "),
    ("an encoder of images", of_images, "begins with a module CLIPModel: what is taken begins with Transformer or "),
    ("weights of words by id", weighted_words, "in training the query '.*' has another vector here than"),
    *(
        (head, classifier(head), f"is a BertFor{head}, made to choose, as cross-enc")
        for head in encoder_files.CLASSIFIERS
    ),
    ("prompts of other names", declared(prompts={"s2p": "Find: "}), "prompts called s2p, and none for a query or"),
]


@pytest.mark.parametrize(("make", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_would_not_be_used_as_meant_is_refused(make, words, tmp_path):
    with pytest.raises(UserError, match=words) as error:
        taken(make(tmp_path))
    assert "\n" not in str(error.value)


def test_an_encoder_that_lowers_capitals_does_so_in_training_too(tmp_path):
    """The vocabulary is cut to what its texts are once they are lowered."""
    folder = odd_encoders.whole(tmp_path, "xlm-r", do_lower_case=True)
    taken(folder)
    np.testing.assert_allclose(ours(folder, "query"), own(folder, "query"), atol=1e-4)
    model = encoders.load(folder, "cpu")
    np.testing.assert_array_equal(*(embedding.encode(model, [text], "query") for text in ("the", "THE")))


def test_modules_that_only_follow_a_transformer_are_taken(tmp_path):
    odd_encoders.transformer(tmp_path / "plain")
    first = Transformer(str(tmp_path / "plain"))
    folder = odd_encoders.of_modules(tmp_path / "whole", first, Pooling(16), LayerNorm(16), Dropout(0.3))
    taken(folder)
    np.testing.assert_allclose(ours(folder, "query"), own(folder, "query"), atol=1e-4)


def test_a_transformer_for_classification_that_is_saved_as_one_of_sentences_is_taken(tmp_path):
    folder = odd_encoders.whole(tmp_path)
    odd_encoders.edit(folder, "config.json", architectures=["BertForSequenceClassification"])
    encoder_files.check(folder)


@pytest.mark.parametrize("size, words", [(1e20, "a vector longer than 1e+18"), (np.nan, "gives NaN or infinity")])
def test_vectors_of_which_no_score_is_a_number_are_refused_with_the_first_text(size, words):
    vectors = np.ones((3, 4), np.float32)
    vectors[1:] *= np.float32(size)
    with pytest.raises(UserError, match=r"query 2 of 3 \('b'\).* and 1 more") as refused:
        embedding.check(vectors, ["a", "b", "c"], "query")
    assert words in str(refused.value)
    embedding.check(np.full((1, 4), 1e17, np.float32), ["a"], "query")


def test_a_limit_of_length_beyond_the_encoder_s_own_is_refused_and_names_the_right_one(tmp_path):
    folder = odd_encoders.whole(tmp_path, "bert", length=24)
    with pytest.raises(UserError, match="max_tokens: 32 is more than the 24 that .* takes; use max_tokens=24"):
        taken(folder)
    taken(folder, chosen=dataclasses.replace(CONFIG, max_tokens=24))


def test_how_many_texts_of_one_s_own_are_cut_is_said_once(tmp_path, capsys):
    texts = [{"q": {"de": "wo " * n, "en": "where"}, "p": {"de": f"da {n}", "en": f"a {n}"}} for n in range(1, 9)]
    rows = [{"id": f"r{n}", **row} for n, row in enumerate(texts)]
    name = str(tmp_path / "mine.jsonl")
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = odd_encoders.whole(tmp_path)
    for limit, said in [(64, ""), (12, "3 of 32 texts"), (12, "")]:  # 12 tokens: five of two letters and two signs
        model = encoders.load(folder, "cpu")
        list(embedding.encode_sets(model, [name], dataclasses.replace(CONFIG, max_tokens=limit)))
        err = capsys.readouterr().err
        found = [line for line in err.splitlines() if "were cut" in line]
        whole = f"{name}: {said} are longer than 12 tokens and were cut; the encoder takes 64 (max_tokens)"
        assert found == ([whole] if said else []), err


def test_the_places_of_xlm_r_begin_after_that_of_padding(tmp_path):
    odd_encoders.transformer(tmp_path, "xlm-r")  # 64 places, of which two are not for tokens
    odd_encoders.edit(tmp_path, "tokenizer_config.json", model_max_length=500)
    assert encoders.longest(encoders.load(tmp_path, "cpu")) == 62


# --- names, prompts, the hub ---


def test_a_prompt_for_passages_is_the_prompt_for_documents(tmp_path):
    prompts = {"query": "q: ", "passage": "the "}
    folder = odd_encoders.whole(tmp_path, "static", settings={"prompts": prompts})
    model = taken(folder)
    assert model.prompts["document"] == "the "


def test_a_prompt_for_passages_beside_an_empty_one_for_documents_is_used_and_said_once(tmp_path, capsys):
    prompts = {"query": "q: ", "document": "", "passage": "the "}
    folder = odd_encoders.whole(tmp_path, settings={"prompts": prompts})
    model = taken(folder, trained=False)
    assert encoders.prompt(model, "document") == "the "
    said = capsys.readouterr().err
    assert "passages begin with 'the ' here, its prompt called passage; encode_document leaves it out" in said
    taken(folder, trained=False)
    assert "passages begin" not in capsys.readouterr().err
    odd_encoders.edit(folder, encoder_files.SETTINGS, prompts={"query": "q: ", "passage": "a "})
    taken(folder, trained=False)  # an empty prompt for documents is there by default
    assert "passages begin with 'a ' here" in capsys.readouterr().err
    odd_encoders.edit(folder, encoder_files.SETTINGS, prompts={"query": "q: ", "passage": "a ", "document": "a "})
    taken(folder, trained=False)
    assert "passages begin" not in capsys.readouterr().err


def test_a_registered_name_is_the_registered_encoder_whatever_lies_beside(tmp_path, own_folders, monkeypatch):
    folder = shutil.copytree(odd_encoders.whole(tmp_path, "static"), tmp_path / "beside" / "ours")
    registered = encoders.Encoder("ours", "1", build=lambda place: shutil.copytree(folder, place, dirs_exist_ok=True))
    monkeypatch.setitem(encoders.ENCODERS, "ours", registered)
    monkeypatch.chdir(folder.parent)
    assert encoders.folder_of("ours") is None and encoders.is_built_here("ours")
    assert encoders.identity("ours") == "ours@1" != encoders.identity("./ours")
    assert encoders.fetched("ours").is_relative_to(own_folders / "store")
    assert encoders.load("ours", "cpu").origin == encoders.Origin("ours", "1")
    assert encoders.folder_of("./ours") and not encoders.is_built_here("./ours")
    assert encoders.load("./ours", "cpu").origin.revision is None


def test_what_a_folder_is_known_by_changes_with_its_tokenizer_in_any_format(tmp_path):
    folder = odd_encoders.whole(tmp_path, "static")
    before = encoder_files.digest(folder)
    (folder / "README.md").write_text("words")
    assert encoder_files.digest(folder) == before
    for name in ("vocab.txt", "sentencepiece.model", "chat_template.jinja"):
        (folder / name).write_text("x")
        assert (after := encoder_files.digest(folder)) != before
        before = after


def test_a_linked_folder_of_a_module_is_a_part_of_the_encoder(tmp_path):
    folder, elsewhere = odd_encoders.whole(tmp_path, dense=True), tmp_path / "elsewhere"
    whole = encoder_files.digest(folder)
    (folder / "2_Dense").rename(elsewhere)
    (folder / "2_Dense").symlink_to(elsewhere)
    (folder / "around").symlink_to(folder)
    assert encoder_files.digest(folder) == whole
    (elsewhere / "model.safetensors").rename(elsewhere / "pytorch_model.bin")
    assert encoder_files.digest(folder) != whole
    with pytest.raises(UserError, match="2_Dense holds no safetensors weights, only a pickle"):
        encoders.load(folder)


def test_t5_is_read_whole_and_as_the_half_that_sentence_transformers_saves(tmp_path):
    folder = odd_encoders.whole(tmp_path, kind="t5")
    for one in (folder, tmp_path / "plain"):
        taken(one)
    np.testing.assert_allclose(ours(folder, "query"), own(folder, "query"), atol=2e-3)


def test_a_gated_model_says_how_to_be_let_in(monkeypatch):
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def refuse(*ignored, **options):
        answer = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co/org/gated"))
        raise GatedRepoError("403 Client Error", response=answer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UserError, match="org/gated@main only to people .*https://huggingface.co/org/gated.*HF_TOKEN"):
        hub.fetch("org/gated", None)


def test_the_trial_stands_before_any_work_and_is_spared_for_our_own_builds(tmp_path, monkeypatch, own_folders):
    folder = odd_encoders.whole(tmp_path, "static")
    tried = []
    monkeypatch.setattr(encoder_check, "as_meant", lambda *given: tried.append(given[0]))
    for encoder in (str(folder), "static"):
        run = config.load("smoke", [f"encoder={encoder}"])
        checks.work(run, grid.plan(run.config))
    assert tried == [folder]


def test_an_encoder_that_gives_all_passages_one_vector_is_refused(tmp_path):
    words = [text for row in synthetic.rows(12) for text in row["q"].values()]  # and of the answers none
    passages = {"de": "kein", "en": "none", "zh": "没有"}
    rows = [row | {"p": {x: f"{passages.get(x, x)} {n}" for x in row["p"]}} for n, row in enumerate(synthetic.rows(12))]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    synthetic.encoder(words).save(str(tmp_path / "deaf"), create_model_card=False)
    model = encoders.load(tmp_path / "deaf", "cpu")
    settings = config.load("smoke", [f"eval={tmp_path / 'mine.jsonl'}"]).config
    with pytest.raises(UserError, match="passages in de: the encoder gives all 12 texts one vector; does it know"):
        cells.evaluate(model, settings.eval, settings)


@pytest.mark.parametrize("side, what", [("q", "questions"), ("p", "passages")])
def test_an_encoder_that_is_deaf_in_one_language_alone_is_refused(side, what, tmp_path):
    """Its texts would tie with all others, and the alphabet would say which language it prefers."""
    rows = [row | {side: row[side] | {"zh": f"没有 {n}"}} for n, row in enumerate(synthetic.rows(12))]
    words = [text for row in rows for s in "qp" for language, text in row[s].items() if (s, language) != (side, "zh")]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    synthetic.encoder(words).save(str(tmp_path / "deaf"), create_model_card=False)
    settings = config.load("smoke", [f"eval={tmp_path / 'mine.jsonl'}"]).config
    with pytest.raises(UserError, match=f"mine.jsonl, {what} in zh: the encoder gives all 12 texts one vector"):
        cells.evaluate(encoders.load(tmp_path / "deaf", "cpu"), settings.eval, settings)


def test_texts_of_the_vector_0_are_said_once_with_their_count_and_the_first(capsys):
    model = synthetic.encoder(["a"])
    model.origin = encoders.Origin("mine", None)
    vectors = np.array([[1, 0], [0, 0], [0, 0]], np.float32)
    for _ in range(2):
        embedding._say_empty(model, vectors, ["a", "b  c", "d"], "mine.jsonl, questions")
        embedding._say_empty(model, vectors[:1], ["a"], "other.jsonl, questions")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "mine.jsonl, questions: 2 of 3 texts have the vector 0, first 'b c': none of their tokens is known" in said


@pytest.mark.parametrize(("noise", "refused"), [(1e-4, False), (0.05, True)])
def test_an_encoder_whose_texts_lie_closer_than_bfloat16_tells_is_refused(noise, refused, monkeypatch):
    draw = np.random.default_rng(0)
    exact = {kind: draw.normal(size=(8, 32)).astype(np.float32) / 32**0.5 for kind in encoder_check.ROLES}
    rounded = {kind: vectors + draw.normal(size=vectors.shape, scale=noise) for kind, vectors in exact.items()}
    with pytest.raises(UserError, match="use precision=float32") if refused else nullcontext():
        encoder_check._check_rounding(Path("mine"), exact, rounded)


def test_rounding_is_looked_at_where_it_happens(monkeypatch, tmp_path):
    folder = odd_encoders.whole(tmp_path)
    asked, encode = [], embedding.encode
    monkeypatch.setattr(encoder_check, "_check_rounding", lambda *given: asked.append(given[0]))
    monkeypatch.setattr(embedding, "encode", lambda model, texts, kind, *_: encode(model, texts, kind))
    for precision in ("float32", "bfloat16"):
        taken(folder, False, dataclasses.replace(CONFIG, precision=precision))
    assert asked == [folder]


def test_an_encoder_of_too_few_tokens_is_refused_without_advice_that_fails(tmp_path):
    folder = odd_encoders.whole(tmp_path, length=7)
    with pytest.raises(UserError, match="takes 7 tokens of a text; 8 are the least"):
        taken(folder, False)
