"""The probe finds language where it was planted, nothing where it was not, and centring takes it out."""

import numpy as np
import pytest
import synthetic

from lib.data import sets as parallel
from lib.evaluation import metrics, probe, search


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def planted(strength: float, texts: int = 150, languages: int = 3, seed: int = 0):
    """The same content in each language, with a direction of its own for each language."""
    draw = np.random.default_rng(seed)
    content = draw.normal(size=(texts, 16))
    offsets = strength * np.eye(16)[:languages]
    vectors = np.concatenate([content + 0.05 * draw.normal(size=content.shape) + offset for offset in offsets])
    return unit(vectors), np.repeat(np.arange(languages), texts)


def test_language_is_found_where_it_was_planted_and_not_where_it_was_not():
    vectors, language = planted(20.0)
    assert probe.language_accuracy(vectors, language) == 1.0
    assert probe.own_language_neighbours(vectors, language) == 1.0
    blind, _ = planted(0.0)
    assert probe.language_accuracy(blind, language) < 0.55
    assert probe.own_language_neighbours(blind, language) < 1 / 3  # its own translations come first
    assert probe.centroid_distance(blind, language) < 0.02 < probe.centroid_distance(vectors, language)


def test_centring_takes_out_a_planted_offset():
    vectors, language = planted(20.0)
    after = probe.centred(vectors, language)
    assert probe.own_language_neighbours(after, language) < 1 / 3
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(probe.centred(after, language * 0).mean(axis=0), 0, atol=0.02)


def test_centroid_distance_by_hand():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    assert probe.centroid_distance(vectors, np.array([0, 0, 1, 1])) == pytest.approx(2**0.5)
    assert probe.centroid_distance(vectors, np.zeros(4, int)) == 0.0


def test_neighbours_by_hand():
    """With three texts each has two neighbours, itself left out: one of them shares the language of the first two."""
    vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1]]))
    assert probe.own_language_neighbours(vectors, np.array([0, 0, 1])) == pytest.approx((0.5 + 0.0) / 2)


def test_chance_of_neighbours_is_what_vectors_without_language_show():
    """Of 3 and 5 texts all others are looked at: 2 of 7, and 4 of 7, are of the text's language."""
    rows = [{"id": f"{n}", "q": {"de": f"q{n}"}, "p": {x: f"{x}{n}" for x in (("de", "en") if n < 3 else ("de",))}}
            for n in range(5)]  # fmt: skip
    made = parallel.from_rows("mine", rows)
    blind = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    blind /= np.linalg.norm(blind, axis=1, keepdims=True)
    read = probe.read_off(blind[:5], blind, made)
    for when in ("chance", "before"):
        assert read[when]["own_language_neighbours"] == pytest.approx((2 / 7 + 4 / 7) / 2, abs=1e-6)


def test_a_biased_pool_is_mended_by_centring():
    data = parallel.from_rows("tiny", synthetic.rows(60))
    language = data.passages["language"].map(data.languages.index).to_numpy()
    asked = data.queries["language"].map(data.languages.index).to_numpy()
    draw = np.random.default_rng(1)
    content = draw.normal(size=(60, 32))
    offsets = 6 * np.eye(32)[: len(data.languages)]
    answers = np.zeros((len(data.passages), 32))
    question = data.queries["question"].to_numpy()[data.qrels["query"]]
    answers[data.qrels["passage"]] = content[question]
    queries = unit(content[data.queries["question"]] + offsets[asked])
    passages = unit(answers + offsets[language])
    found = probe.read_off(queries, passages, data)
    biased = metrics.macro(metrics.by_language(metrics.units(search.rank(queries, passages, data).ranks)))
    before = biased.set_index(["setting", "metric"])["value"]
    after = {(row["setting"], row["metric"]): row["value"] for row in found["centred"]}
    assert found["before"]["own_language_neighbours"] > 0.9 > 0.4 > found["after"]["own_language_neighbours"]
    assert before["multilingual", "map"] < 0.9 < 0.99 < after["multilingual", "map"]
    assert before["multilingual", "rank_distance"] > 10 > 3 > after["multilingual", "rank_distance"]
