"""The whole XQuAD-R evaluation from embeddings: against the bare matrix product, and against its peers.

Ours is timed on everything: 121 pairs of languages and 11 query languages over the whole pool, with average precision,
R@1, R@10 and rank distance of every query. Peers take minutes for that, so they and ours are compared on the queries of
one language (12 of the 132 rankings of each question), alternating, and know nothing of rank distance. Peers that are
not installed are left out: `pip install ranx` for one; mteb's evaluator calls pytrec_eval, and cannot be faster.

    .venv/bin/python -m benchmarks.evaluation [ENCODER]
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import measured
from lib.data import catalog as data
from lib.data.sets import ParallelSet
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search

LANGUAGE = "en"
CHUNK = 119  # queries a call of a peer: rankings of 13,014 passages each as Python dictionaries


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "e5-small-q4"
    whole = data.evaluation_set("xquad-r")
    model = encoders.load(encoders.fetched(name))
    queries = embedding.encode(model, whole.queries["text"].tolist(), "query")
    passages = embedding.encode(model, whole.passages["text"].tolist(), "document")
    everything = measured.alternating(
        {"matrix product": lambda: bare(queries, passages), "ours": lambda: ours(queries, passages, whole)}
    )
    part, rows = of_language(whole, LANGUAGE)
    asked = queries[rows]
    rivals = {"ours": lambda: ours(asked, passages, part)} | peers(asked, passages, part)
    one_language = measured.alternating(rivals)
    agreement = float(np.abs(trec_eval(asked, passages, part) - ours(asked, passages, part)).max())
    measured.write(
        "evaluation",
        {
            "encoder": name,
            "queries": len(queries),
            "passages": len(passages),
            "seconds, all settings": everything,
            "seconds, queries in one language": one_language,
            "ours / matrix product": everything["ours"] / everything["matrix product"],
            "fastest peer / ours": min(s for peer, s in one_language.items() if peer != "ours") / one_language["ours"],
            "largest difference of a query's average precision to trec_eval's": agreement,
        },
    )


def bare(queries: np.ndarray, passages: np.ndarray) -> None:
    """The scores that every evaluation needs, and nothing else."""
    import torch

    theirs = torch.from_numpy(passages).T
    for start in range(0, len(queries), search.BLOCK):
        torch.from_numpy(queries[start : start + search.BLOCK]) @ theirs


def ours(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> np.ndarray:
    """Average precision of each unit, sorted by question, query language, setting and passage language."""
    found = metrics.units(search.rank(queries, passages, part).ranks)
    return found.sort_values(["question", "query_language", "setting", "passage_language"])["map"].to_numpy()


def of_language(whole: ParallelSet, language: str) -> tuple[ParallelSet, np.ndarray]:
    """The set with the queries of one language only, and their rows."""
    rows = np.flatnonzero(whole.queries["language"] == language)
    pairs = whole.qrels[whole.qrels["query"].isin(rows)]
    pairs = pairs.assign(query=np.searchsorted(rows, pairs["query"])).reset_index(drop=True)
    queries = whole.queries.iloc[rows].reset_index(drop=True)
    return ParallelSet(whole.name, whole.pool, whole.questions, queries, whole.passages, pairs), rows


def rankings(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> Iterator[tuple[dict, dict]]:
    """Qrels and runs as the peers take them, chunk by chunk: each language's corpus, then the pool.

    Their scores are ours: another product of the same vectors differs in its last bits, and near ties with it.
    """
    products = np.concatenate(list(search.scores(queries, passages)))
    language, docid = part.passages["language"].to_numpy(), part.passages["docid"].to_numpy()
    relevant = part.qrels.groupby("query")["passage"].agg(list).to_dict()
    for target in (*part.languages, None):
        chosen = np.arange(len(docid)) if target is None else np.flatnonzero(language == target)
        names, inside = docid[chosen].tolist(), set(chosen.tolist())
        for start in range(0, len(queries), CHUNK):
            scores = products[start : start + CHUNK][:, chosen]
            qrels = {
                str(q): {docid[p]: 1 for p in relevant[q] if p in inside} for q in range(start, start + len(scores))
            }
            runs = {str(q): dict(zip(names, line.tolist(), strict=True)) for q, line in enumerate(scores, start)}
            yield qrels, runs


def trec_eval(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> np.ndarray:
    """As `ours`, by pytrec_eval."""
    import pytrec_eval

    found = []
    for number, (qrels, runs) in enumerate(rankings(queries, passages, part)):
        scored = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recall.1,10"}).evaluate(runs)
        target = (*part.languages, None)[number * CHUNK // len(queries)]
        setting = "multilingual" if target is None else "monolingual" if target == LANGUAGE else "cross-lingual"
        found += [(int(q), setting, target or "", values["map"]) for q, values in scored.items()]
    questions = part.queries["question"].to_numpy()
    return np.array([value for *_, value in sorted((questions[q], *rest) for q, *rest in found)])


def peers(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> dict[str, Callable[[], object]]:
    """The peers that are installed."""
    found: dict[str, Callable[[], object]] = {
        "pytrec_eval": lambda: trec_eval(queries, passages, part),
        "sentence-transformers": lambda: sentence_transformers(queries, passages, part),
    }
    if importlib.util.find_spec("ranx"):
        found["ranx"] = lambda: ranx(queries, passages, part)
    return found


def ranx(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> list[float]:
    import ranx

    means = []
    for qrels, runs in rankings(queries, passages, part):
        scores = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(runs), ["map", "recall@1", "recall@10"])
        means.append(scores["map"])
    return means


def sentence_transformers(queries: np.ndarray, passages: np.ndarray, part: ParallelSet) -> list[float]:
    import torch
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    class FromVectors(InformationRetrievalEvaluator):
        def embed_inputs(self, *ignored: object, **also: object) -> torch.Tensor:
            return torch.from_numpy(queries)

    language, docid = part.passages["language"].to_numpy(), part.passages["docid"].to_numpy()
    asked = {str(q): text for q, text in enumerate(part.queries["text"])}
    relevant = part.qrels.groupby("query")["passage"].agg(list).to_dict()
    means = []
    for target in (*part.languages, None):
        chosen = np.arange(len(docid)) if target is None else np.flatnonzero(language == target)
        inside = set(chosen.tolist())
        judged = {str(q): {docid[p] for p in rows if p in inside} for q, rows in relevant.items()}
        evaluator = FromVectors(
            asked, dict.fromkeys(docid[chosen].tolist(), ""), judged, mrr_at_k=[1], ndcg_at_k=[1], accuracy_at_k=[1],
            precision_recall_at_k=[1, 10], map_at_k=[len(chosen)], score_functions={"dot": lambda a, b: a @ b.T},
        )  # fmt: skip
        scores = evaluator.compute_all_metrics(None, corpus_embeddings=torch.from_numpy(passages[chosen]))
        means.append(scores["dot"]["map@k"][len(chosen)])
    return means


if __name__ == "__main__":
    main()
