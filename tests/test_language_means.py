"""Language means of one's own index: worked by hand, saved and read again, and refused with one line."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

import lib
from lib.base.errors import UserError
from lib.evaluation import centring
from lib.evaluation.language_means import LanguageMeans

# Two languages, set apart along the first axis; what a text says is along the others.
VECTORS = np.array([[3, 4, 0], [3, -4, 0], [-4, 0, 3], [-4, 0, -3]], np.float32)
LANGUAGES = ["en", "en", "de", "de"]


def test_a_case_worked_by_hand():
    means = lib.LanguageMeans.fit(VECTORS, LANGUAGES)
    np.testing.assert_allclose(means.means["en"], [0.6, 0, 0], atol=1e-7)
    np.testing.assert_allclose(means.means["de"], [-0.8, 0, 0], atol=1e-7)
    assert means.counts == {"de": 2, "en": 2} and means.dimensions == 3
    wanted = [[0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    np.testing.assert_allclose(means.centred(VECTORS, LANGUAGES), wanted, atol=1e-6)
    # A text of English alone, twice as long, which says nothing else: (1, 0, 0) - (.6, 0, 0), at length 1.
    np.testing.assert_allclose(means.centred([[2, 0, 0]], ["en"]), [[1, 0, 0]], atol=1e-6)


@given(
    arrays.arrays(np.float32, (8, 3), elements=some.floats(-10, 10, width=32).filter(lambda x: abs(x) > 0.01)),
    some.permutations(range(8)),
    some.floats(0.5, 100),
)
def test_neither_order_nor_length_of_vectors_counts_and_languages_lose_their_means(vectors, order, factor):
    languages = np.array(["a", "b"] * 4)
    means = LanguageMeans.fit(vectors, languages)
    again = LanguageMeans.fit(vectors[order] * factor, languages[order])
    for language in "ab":
        np.testing.assert_allclose(again.means[language], means.means[language], atol=1e-5)
        unit = vectors[languages == language] / np.linalg.norm(vectors[languages == language], axis=1, keepdims=True)
        np.testing.assert_allclose((unit - means.means[language]).mean(axis=0), 0, atol=1e-5)
    try:
        lengths = np.linalg.norm(means.centred(vectors, languages), axis=1)
    except UserError as refused:  # all vectors of a language are one
        assert "less which nothing is left" in str(refused)
    else:
        np.testing.assert_allclose(lengths, 1, atol=1e-4)


def test_it_is_what_the_evaluation_does_to_vectors_of_length_1():
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    languages = pd.Series(["de", "en", "tr", "en"] * 5)
    wanted = centring.centred(vectors, languages, centring.of(vectors, languages))
    np.testing.assert_allclose(LanguageMeans.fit(vectors, languages).centred(vectors, languages), wanted, atol=1e-6)


def test_what_is_saved_is_read_again(tmp_path):
    means = LanguageMeans.fit(VECTORS, LANGUAGES)
    means.save(tmp_path / "means.safetensors")
    again = LanguageMeans.load(str(tmp_path / "means.safetensors"))
    assert again.counts == means.counts
    assert again.centred(VECTORS, LANGUAGES).tobytes() == means.centred(VECTORS, LANGUAGES).tobytes()


@pytest.mark.parametrize("take", [tuple, np.array, pd.Series, pd.Categorical, iter])
def test_languages_of_any_kind(take):
    assert LanguageMeans.fit(VECTORS, take(LANGUAGES)).counts == {"de": 2, "en": 2}


def test_texts_are_encoded_as_queries_or_documents():
    import torch

    model = synthetic.encoder(["one", "two", "query:"])
    model.prompts = {"query": "query: ", "document": ""}
    texts, languages = ["one", "two", "two"], ["en", "en", "en"]
    queries = LanguageMeans.of_texts(model, texts, languages, "query")
    documents = LanguageMeans.of_texts(model, texts, languages)
    assert not np.allclose(queries.means["en"], documents.means["en"])
    vectors = torch.tensor(model.encode_query(texts))
    np.testing.assert_array_equal(queries.centred(vectors, languages), queries.encode(model, texts, languages, "query"))
    read_once = LanguageMeans.of_texts(model, iter(texts), iter(languages))
    np.testing.assert_array_equal(read_once.means["en"], documents.means["en"])


@pytest.mark.parametrize(
    ("vectors", "languages", "said"),
    [
        (VECTORS, ["en", "en", "de"], r"vectors \[4, 3\] and 3 languages"),
        (VECTORS[0], ["en"] * 3, "a row of vectors has one language each"),
        (np.empty((0, 3)), [], "there are no vectors"),
        (VECTORS, ["en", "EN", "de", "de"], "'EN' and 'en' are one language"),
        (VECTORS, ["en", " ", "de", "de"], "a language is missing"),
        (VECTORS * 1e30, LANGUAGES, "row 1: its vector is zero or not finite in float32"),
        ((vector for vector in VECTORS), LANGUAGES, "vectors cannot be read"),
        (np.ma.masked_less(VECTORS, 0.1), LANGUAGES, "row 1: its vector is zero or not finite"),
        ([["a"], ["b"], ["c"], ["d"]], LANGUAGES, "vectors cannot be read"),
        (list(VECTORS.astype(np.int8)), LANGUAGES, "vectors of int8 are quantised"),
        (pd.DataFrame(VECTORS.astype(np.int8)), LANGUAGES, "vectors of int8 are quantised"),
        (VECTORS, ["en", "en", "de", None], "a language is missing"),
        (VECTORS, ["en", "en", "en", "de"], "language 'de' has one text"),
        (VECTORS * [[1], [0], [1], [1]], LANGUAGES, "row 2: its vector is zero or not finite"),
        (VECTORS * [[1], [1], [np.nan], [1]], LANGUAGES, "row 3: its vector is zero or not finite"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line(vectors, languages, said):
    with pytest.raises(UserError, match=said):
        LanguageMeans.fit(vectors, languages)


def test_what_cannot_be_centred_is_one_clear_line():
    means = LanguageMeans.fit(VECTORS, LANGUAGES)
    with pytest.raises(UserError, match="no mean of language 'tr'; there are de, en"):
        means.centred(VECTORS, ["en", "en", "tr", "de"])
    with pytest.raises(UserError, match="the vectors have 2 dimensions, the means 3"):
        means.centred(VECTORS[:, :2], LANGUAGES)
    with pytest.raises(UserError, match="kind 'passage': it must be query or document"):
        means.encode(None, [], [], "passage")


def test_another_file_is_refused(tmp_path):
    save_file({"weight": VECTORS}, tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UserError, match="other tensors than language means"):
        LanguageMeans.load(tmp_path / "other.safetensors")
    for name in ("text", "nowhere", ""):
        with pytest.raises(UserError, match="no file of language means"):
            LanguageMeans.load(tmp_path / name)


def test_where_only_rounding_is_left_of_a_language_it_is_refused():
    alike = np.tile(np.array([[0.6, 0.48, 0.64]], np.float32), (5, 1))
    others = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    means = LanguageMeans.fit(np.vstack([alike, others]), ["en"] * 5 + ["de"] * 5)
    with pytest.raises(UserError, match="row 2: its vector is the mean of 'en', less which nothing is left; fit with"):
        means.centred(np.vstack([others[:1], alike]), ["de", *["en"] * 5])
    assert np.linalg.norm(means.centred(others, ["de"] * 5), axis=1) == pytest.approx(np.ones(5))


def test_of_two_equal_texts_nothing_is_left():
    """What is promised are vectors of length 1; (1, 0) less the mean (1, 0) is none."""
    means = LanguageMeans.fit([[1, 0], [1, 0], [0, 1], [1, 1]], ["en", "en", "de", "de"])
    with pytest.raises(UserError, match="row 3: its vector is the mean of 'en'"):
        means.centred([[0, 1], [0, 1], [2, 0]], ["de", "en", "en"])
    np.testing.assert_allclose(means.centred([[0, 1]], ["en"]), [[-(0.5**0.5), 0.5**0.5]], atol=1e-6)


@pytest.mark.parametrize("take", [list, tuple])
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_vectors_may_be_a_list_of_tensors(take, kind):
    """Of 3, 4 and 0 each kind of number has all digits."""
    import torch

    rows = take(torch.tensor(VECTORS, dtype=getattr(torch, kind)).unbind())
    means = LanguageMeans.fit(rows, LANGUAGES)
    np.testing.assert_allclose(means.means["en"], [0.6, 0, 0], atol=1e-7)
    np.testing.assert_allclose(means.centred(rows, LANGUAGES)[0], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("languages", ["enenen", None])
def test_languages_are_a_list(languages):
    with pytest.raises(UserError, match="give one for each vector"):
        LanguageMeans.fit(np.eye(6, dtype=np.float32), languages)


@pytest.mark.parametrize("kind", ["int8", "uint8", "bool"])
def test_quantised_vectors_are_refused(kind):
    import torch

    for vectors in (np.ones((2, 3), kind), torch.ones((2, 3), dtype=getattr(torch, kind))):
        with pytest.raises(UserError, match="are quantised, and have no mean"):
            LanguageMeans.fit(vectors, ["en", "de"])


@pytest.mark.parametrize(
    ("given", "said"),
    [("hello", "give a list of texts"), (["one", None], "row 2: there is no text"), (["one", " "], "row 2: there is")],
)
def test_texts_are_a_list_of_texts(given, said):
    with pytest.raises(UserError, match=said):
        LanguageMeans.of_texts(synthetic.encoder(["one"]), given, ["en"] * len(given))


def test_languages_of_numpy_are_said_as_texts():
    with pytest.raises(UserError, match="no mean of language 'fr'"):
        LanguageMeans.fit(VECTORS, LANGUAGES).centred(VECTORS, np.array(["fr"] * 4))
