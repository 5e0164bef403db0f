"""How much language can be read off the vectors, and what is left of the bias when it is taken out of them.

A retriever that puts languages into places of their own can tell them apart, and will prefer one. Three measures of
that, and one remedy that needs no training: to subtract each language's mean vector (centring).
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from ..data.sets import ParallelSet
from . import centring, metrics, search

NEIGHBOURS = 10
TRAINED_ON = 0.8  # of each language's passages, in the order of the corpus: the test passages are of other articles
ASKED = 2_000


def read_off(queries: np.ndarray, passages: np.ndarray, data: ParallelSet) -> dict[str, Any]:
    """Measures of a set's vectors, before and after centring.

    Args:
        queries: float32 [queries, dimensions], rows as in ``data.queries``; looked at with length 1.
        passages: float32 [passages, dimensions], rows as in ``data.passages``; likewise.

    Returns:
        ``before`` and ``after`` centring: ``own_language_neighbours``, ``centroid_distance``, and before it
        ``language_accuracy``; ``chance`` for the first and the last, of vectors without language; and ``centred``, the
        macro means of all measures of effectiveness and rank distance after centring (see `metrics.macro`), as
        rows. A linear classifier is not asked after centring: the mean of what it is tested on is then minus that of
        what it was trained on, so that it does worse than chance on any vectors.
    """
    queries, passages = centring.at_length_1(queries), centring.at_length_1(passages)
    language = data.passages["language"].map(data.languages.index).to_numpy()
    asked = data.queries["language"].map(data.languages.index).to_numpy()
    centred_passages, centred_queries = centred(passages, language), centred(queries, asked)
    ranks = search.rank(centred_queries, centred_passages, data).ranks
    shares = np.bincount(language) / len(language)
    return {
        "before": _measures(passages, language)
        | {"language_accuracy": round(language_accuracy(passages, language), 6)},
        "after": _measures(centred_passages, language),
        "chance": {
            "language_accuracy": float(shares.max()),
            "own_language_neighbours": by_chance(data),
        },
        "centred": metrics.macro(metrics.by_language(metrics.units(ranks))).round(6).to_dict("records"),
    }


def by_chance(data: ParallelSet) -> float:
    """What `own_language_neighbours` would be of vectors without language: a language's share of the other texts."""
    counts = data.passages["language"].value_counts()
    return float(((counts - 1) / (counts.sum() - 1)).mean())


def centred(vectors: np.ndarray, language: np.ndarray) -> np.ndarray:
    """Vectors less the mean vector of their language, at length 1 again; the only one of a language as it is.

    Args:
        vectors: float32 [texts, dimensions].
        language: int [texts].
    """
    found = np.empty_like(vectors)
    for number in np.unique(language):
        rows = language == number
        found[rows] = vectors[rows] - (vectors[rows].mean(axis=0) if rows.sum() > 1 else 0)
    return centring.unit(found, vectors)


def language_accuracy(vectors: np.ndarray, language: np.ndarray) -> float:
    """Share of texts whose language a linear classifier tells from the vector; the last fifth of each language."""
    from sklearn.linear_model import RidgeClassifier

    texts = pd.Series(language).groupby(language)
    seen = (texts.cumcount() / texts.transform("size") < TRAINED_ON).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its matrix is ill-conditioned: only the order of its outputs counts
        probe = RidgeClassifier(alpha=1e-3).fit(vectors[seen], language[seen])
    return float(probe.score(vectors[~seen], language[~seen]))


def own_language_neighbours(vectors: np.ndarray, language: np.ndarray) -> float:
    """Share of a text's 10 nearest other texts that are in its language; mean over the texts of each, then over all.

    Without any trace of language it would be the language's share of the other texts. Asked of about 2,000 texts.
    """
    import torch

    whole = torch.from_numpy(vectors)
    asked = np.arange(0, len(vectors), max(1, len(vectors) // ASKED))
    scores = whole[asked] @ whole.T
    scores[torch.arange(len(asked)), torch.from_numpy(asked)] = -torch.inf
    nearest = scores.topk(min(NEIGHBOURS, len(vectors) - 1), dim=1).indices.numpy()
    same = (language[nearest] == language[asked, None]).mean(axis=1)
    return float(np.mean([same[language[asked] == number].mean() for number in np.unique(language[asked])]))


def centroid_distance(vectors: np.ndarray, language: np.ndarray) -> float:
    """Euclidean distance between the mean vectors of two languages, mean over all pairs; vectors have length 1."""
    means = np.stack([vectors[language == number].mean(axis=0) for number in np.unique(language)])
    first, second = np.triu_indices(len(means), k=1)
    return float(np.linalg.norm(means[first] - means[second], axis=1).mean()) if len(first) else 0.0


def _measures(vectors: np.ndarray, language: np.ndarray) -> dict[str, float]:
    measures = (own_language_neighbours, centroid_distance)
    return {measure.__name__: round(measure(vectors, language), 6) for measure in measures}
