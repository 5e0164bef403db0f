"""Means from other texts take a planted language offset out; what a record keeps gives the macro means back."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.data import sets as parallel
from lib.evaluation import centring, metrics, search

LANGUAGES = ("de", "en", "zh")


def encoded(name: str, questions: int, seed: int, languages=LANGUAGES) -> centring.Encoded:
    """A set whose answers are where its questions are, but for a direction of its own that each language has."""
    rows = [
        row | {"group": f"article {number // 4}"} for number, row in enumerate(synthetic.rows(questions, languages))
    ]
    data = parallel.from_rows(name, rows)
    content = np.random.default_rng(seed).normal(size=(questions, 32))
    offsets = {language: 6 * np.eye(32)[place] for place, language in enumerate(LANGUAGES)}
    question = data.queries["question"].to_numpy()
    answered = np.empty(len(data.passages), int)
    answered[data.qrels["passage"]] = question[data.qrels["query"]]
    sides = [(content[question], data.queries), (content[answered], data.passages)]
    return data, *(unit(v + np.stack([offsets[x] for x in part["language"]])) for v, part in sides)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def value(found: dict, metric: str, setting: str = "multilingual") -> float:
    return next(row["value"] for row in found["macro"] if (row["metric"], row["setting"]) == (metric, setting))


@pytest.fixture(scope="module")
def sets() -> dict[str, centring.Encoded]:
    return {"xquad-r": encoded("xquad-r", 60, 1), "facts": encoded("facts", 80, 2), "own.jsonl": encoded("own", 40, 3)}


def test_means_of_other_texts_mend_a_biased_pool(sets):
    data, queries, passages = sets["xquad-r"]
    plain = metrics.macro(metrics.by_language(metrics.units(search.rank(queries, passages, data).ranks)))
    before = plain.set_index(["setting", "metric"])["value"]["multilingual"]
    found = centring.read_off(sets)["xquad-r"]
    assert list(found) == ["own", "facts"]
    for source in found.values():
        assert value(source, "map") > 0.95 > 0.8 > before["map"]
        assert value(source, "rank_distance") < 10 < before["rank_distance"]
        own = np.trace(source["top"]) / np.sum(source["top"])
        assert own < 0.5


def test_only_known_pools_give_means_and_none_to_itself_or_to_a_held_out_part(sets):
    held = encoded("xquad-r", 20, 4)
    found = centring.read_off(sets | {"xquad-r-heldout": held})
    assert {name: list(sources) for name, sources in found.items()} == {
        "xquad-r": ["own", "facts"],
        "facts": ["own", "xquad-r"],
        "own.jsonl": ["own", "xquad-r", "facts"],
    }
    assert centring.read_off(sets, scored=["facts"]) == {"facts": found["facts"]}


def test_a_set_without_a_language_gives_no_means_to_one_that_has_it(sets):
    two = encoded("mlqa-r", 20, 5, ("de", "en"))
    found = centring.read_off({"mlqa-r": two, "facts": sets["facts"]})
    assert list(found["facts"]) == ["own"]
    assert list(found["mlqa-r"]) == ["own", "facts"]


def test_article_sums_give_the_macro_means_back(sets):
    data = sets["xquad-r"][0]
    found = centring.read_off(sets)["xquad-r"]["facts"]
    assert data.questions["group"].nunique() == 15
    for setting in ("monolingual", "multilingual"):
        sums = found["articles"][setting]
        assert {language: len(values) for language, values in sums.items()} == dict.fromkeys(LANGUAGES, 15)
        means = [np.sum(values) / 60 for values in sums.values()]
        assert np.mean(means) == pytest.approx(value(found, "map", setting), abs=1e-4)


def test_centred_by_hand():
    vectors = np.array([[3, 0], [5, 4], [0, 2]], np.float32)
    languages = pd.Series(["de", "de", "en"])
    means = centring.of(vectors, languages)
    np.testing.assert_array_equal(means["de"], [4, 2])
    np.testing.assert_array_equal(means["en"], [0, 0])  # of a single text
    found = centring.centred(vectors, languages, {"de": np.array([3, 4]), "en": np.array([0, 1])})
    np.testing.assert_allclose(found, [[0, -1], [1, 0], [0, 1]])


def test_a_language_without_a_mean_is_named():
    with pytest.raises(ValueError, match="no mean vector of: en, zh"):
        centring.centred(np.ones((3, 2), np.float32), pd.Series(["zh", "de", "en"]), {"de": np.zeros(2)})


def test_the_mean_of_many_vectors_is_summed_in_double_precision():
    vectors = np.tile(np.array([0.9, 0.1], np.float32), (400_000, 1))
    mean = centring.of(vectors, pd.Series(["de"] * len(vectors)))["de"]
    np.testing.assert_allclose(mean, vectors[0], rtol=1e-6)


def test_the_only_text_of_a_language_stays_as_it_is():
    """Less its own mean it would be nothing, and its rank the order of the file."""
    vectors = np.eye(3, dtype=np.float32)
    means = centring.of(vectors, pd.Series(["de", "de", "fr"]))
    assert not means["fr"].any() and means["de"].any()
    assert centring.centred(vectors, pd.Series(["de", "de", "fr"]), means)[2].tolist() == [0, 0, 1]


def test_lengths_of_a_dot_product_are_left_out_of_a_mean():
    vectors = np.array([[3, 0], [0, 4]], np.float32)
    assert centring.at_length_1(vectors).tolist() == [[1, 0], [0, 1]]
    near = np.array([[1, 1e-4], [0, 1]], np.float32)
    assert centring.at_length_1(near) is near
