"""What is promised of vocabulary trimming: nothing changes for the run's texts, and it can be undone."""

import numpy as np
import pytest
import synthetic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.encoders import load as encoders
from lib.encoders import vocabulary

TEXTS = [
    "Where is Athens?", "Athens is the capital of Greece.", "Wo liegt Athen?", "Где находятся Афины?",
    "雅典在哪里？", "เอเธนส์อยู่ที่ไหน", "أين تقع أثينا؟", "  two  spaces ", "", "☃ no piece for \U00013000 this",
]  # fmt: skip


def write_static(folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    embedding = StaticEmbedding(synthetic.unigram_tokenizer(), embedding_dim=8)
    SentenceTransformer(modules=[embedding], device="cpu").save(str(folder), create_model_card=False)


@pytest.fixture(params=["bert", "xlm-r", "static"])
def folder(request, tmp_path):
    """One encoder folder of each kind that can be trimmed."""
    written = tmp_path / request.param
    write_static(written) if request.param == "static" else synthetic.write_transformer(request.param, written)
    return written


@pytest.fixture
def static_folder(tmp_path):
    write_static(tmp_path / "static")
    return tmp_path / "static"


@pytest.fixture
def bert_folder(tmp_path):
    synthetic.write_transformer("bert", tmp_path / "bert")
    return tmp_path / "bert"


def load(folder):
    model = encoders.load(folder, "cpu")
    model.prompts = {"query": "W: ", "document": "he: "}
    return model


def encodings(model, texts):
    return np.concatenate([model.encode_query(texts), model.encode_document(texts)])


def test_the_run_s_texts_are_encoded_as_before(folder):
    model = load(folder)
    before = encodings(model, TEXTS)
    kept = vocabulary.trim(model, TEXTS).kept
    assert vocabulary.word_vectors(model).weight.shape[0] == len(kept) < len(synthetic.unigram_tokenizer().get_vocab())
    np.testing.assert_allclose(encodings(model, TEXTS), before, atol=1e-6)


def test_pieces_are_looked_for_once_in_the_same_texts_and_anew_in_others_under_other_prompts(folder, monkeypatch):
    monkeypatch.setattr(vocabulary, "_found", {})
    cuts = [vocabulary.trim(load(folder), texts).kept for texts in (TEXTS, TEXTS, TEXTS[:2])]
    assert len(vocabulary._found) == 2
    np.testing.assert_array_equal(cuts[0], cuts[1])
    assert set(cuts[2]) < set(cuts[0])
    other = load(folder)
    other.prompts = {"query": "Q"}
    vocabulary.trim(other, TEXTS)
    assert len(vocabulary._found) == 3


def test_control_added_and_least_likely_pieces_stay(bert_folder):
    model = load(bert_folder)
    kept = vocabulary.trim(model, [""]).kept.tolist()
    assert kept[:4] == [0, 1, 2, 3] and model.tokenizer.pad_token_id == 1
    tokens = model.tokenizer.convert_ids_to_tokens(range(len(kept)))
    assert "rarest" in tokens and tokens[model.tokenizer.mask_token_id] == "<mask>"
    assert "Q" not in tokens and "▁Athens" not in tokens


def test_a_trimmed_model_can_be_saved_and_loaded(folder, tmp_path):
    model = load(folder)
    vocabulary.trim(model, TEXTS)
    encoders.save(model, tmp_path / "checkpoint")
    np.testing.assert_allclose(
        encodings(encoders.load(tmp_path / "checkpoint", "cpu"), TEXTS), encodings(model, TEXTS), atol=1e-6
    )


def test_undone_without_training_it_is_the_same_to_the_bit(folder):
    model = load(folder)
    weights, tokenizer = synthetic.fingerprint(model), vocabulary.tokenizer_of(model).to_str()
    vocabulary.restore(model, vocabulary.trim(model, TEXTS))
    assert synthetic.fingerprint(model) == weights
    assert vocabulary.tokenizer_of(model).to_str() == tokenizer
    assert model[0].tokenizer is model.tokenizer


def test_undone_after_training_the_kept_rows_and_all_else_are_the_trained_ones(folder):
    import torch

    model, original = load(folder), load(folder)
    cut = vocabulary.trim(model, TEXTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    trained = encodings(model, TEXTS)
    vocabulary.restore(model, cut)
    change = vocabulary.word_vectors(model).weight - vocabulary.word_vectors(original).weight
    expected = torch.zeros(len(change))
    expected[torch.from_numpy(cut.kept)] = 1
    torch.testing.assert_close(change, expected[:, None].expand_as(change))
    np.testing.assert_allclose(encodings(model, TEXTS), trained, atol=1e-6)


def test_a_wordpiece_model_is_left_as_it_is(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    model = SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=4)], device="cpu")
    before = synthetic.fingerprint(model)
    assert vocabulary.trim(model, ["a"]) is None
    assert synthetic.fingerprint(model) == before
    vocabulary.restore(model, None)
    assert synthetic.fingerprint(model) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("Where isAthnolgtWQXZ? \u2603", max_size=20), max_size=6))
def test_new_ids_stand_for_the_same_pieces(static_folder, texts):
    full, trimmed = load(static_folder), load(static_folder)
    kept = vocabulary.trim(trimmed, texts).kept
    for text in texts:
        for prompt in full.prompts.values():
            old, new = full.tokenizer.encode(prompt + text), trimmed.tokenizer.encode(prompt + text)
            assert kept[new.ids].tolist() == old.ids and new.tokens == old.tokens
