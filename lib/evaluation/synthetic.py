"""Rankings made up so that their bias is known, to see what each measure of bias notices and what it misses.

A passage's score is what its content is worth, plus noise, plus what its language is worth to the query. Half of the
noise belongs to the passage, so that a question asked in another language meets it again.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import bias
from .search import TOP, Ranking

LANGUAGES = ["ar", "de", "en", "th", "zh"]
QUESTIONS = 60  # each asked in every language; passage n of a language answers question n
PASSAGES = 100  # in each language
GOOD, BAD, ALL = 4.0, 1.0, 1e3  # in standard deviations of the noise; ALL outweighs everything else


@dataclass(frozen=True)
class Kind:
    """A made-up retriever: what right content, and each language, is worth to it.

    Attributes:
        content: what a relevant passage's score has above the others.
        own: what the query's own language is worth.
        worth: what a passage language is worth to every query.
    """

    content: float
    own: float = 0.0
    worth: tuple[tuple[str, float], ...] = ()


RANKINGS = {
    "perfect, blind to language": Kind(ALL),
    "good, blind": Kind(GOOD),
    "bad, blind": Kind(BAD),
    "perfect, own language first among the answers": Kind(2 * ALL, own=ALL),
    "good, leans to its own language": Kind(GOOD, own=1.5),
    "own language before all others": Kind(GOOD, own=ALL),
    "English before all others": Kind(GOOD, worth=(("en", ALL),)),
    "Thai after all others": Kind(GOOD, worth=(("th", -ALL),)),
}


def ranking(kind: Kind, seed: int = 0) -> Ranking:
    """The ranks of the relevant passages and the languages of the first 10, of all queries."""
    draw = np.random.default_rng(seed)
    count = len(LANGUAGES)
    passage_noise = draw.normal(size=(count, PASSAGES))
    noise = passage_noise + draw.normal(size=(count, QUESTIONS, count, PASSAGES))  # [asked in, question, language, n]
    scores = noise / np.sqrt(2) + kind.own * np.eye(count)[:, None, :, None]
    scores += np.array([dict(kind.worth).get(language, 0.0) for language in LANGUAGES])[:, None]
    question = np.arange(QUESTIONS)
    scores[:, question, :, question] += kind.content
    flat = scores.reshape(count, QUESTIONS, -1)
    order = np.argsort(-flat, axis=-1)
    relevant = scores[:, question, :, question].transpose(1, 0, 2)  # [asked in, question, language]
    ahead = (flat[:, :, None] > relevant[..., None]).sum(axis=-1)
    ahead_within = (scores > relevant[..., None]).sum(axis=-1)
    asked, number, language = (axis.ravel() for axis in np.indices(relevant.shape))
    ranks = pd.DataFrame(
        {
            "question": number,
            "query_language": np.array(LANGUAGES)[asked],
            "passage_language": np.array(LANGUAGES)[language],
            "rank": 1 + ahead_within.ravel(),
            "pool_rank": 1 + ahead.ravel(),
        }
    )
    top = np.zeros((count, count), np.int64)
    np.add.at(top, (np.arange(count)[:, None, None], order[:, :, :TOP] // PASSAGES), 1)
    return Ranking(ranks, top)


def panel(seed: int = 0) -> pd.DataFrame:
    """What each measure (columns) says of each synthetic ranking (rows), PEER among them."""
    pool = pd.Series(np.repeat(LANGUAGES, PASSAGES))
    rows = {}
    for name, kind in RANKINGS.items():
        found = ranking(kind, seed)
        top = bias.top_shares(found.top, LANGUAGES, pool)
        rows[name] = bias.measures(found.ranks).set_index("measure")["value"].to_dict() | {
            "own_share": bias.own_language_share(top),
            "share_distance": bias.share_distance(top),
            "peer": peer(found.ranks),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def peer(ranks: pd.DataFrame) -> float:
    """PEER with one relevant passage a language: mean over queries of the Kruskal-Wallis p of the ranks by language.

    The test replaces the m ranks by their order, 1 to m, each alone in its group: its statistic is m - 1 and its p
    always the same. Shown only so that this can be seen.
    """
    from scipy.stats import kruskal

    by_language = ranks.pivot(index=bias.QUERY, columns="passage_language", values="pool_rank").to_numpy()
    return float(np.mean(kruskal(*by_language.T[:, None]).pvalue))
