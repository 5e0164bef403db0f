"""XQuAD-R and MLQA-R, as released by LAReQA (Roy et al. 2020); their candidates are single sentences."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from ...base.errors import UserError
from .. import download
from .. import sets as parallel
from ..sets import ParallelSet

NAMES = ("xquad-r", "mlqa-r")


@cache
def read(name: str, candidates: str = "sentence") -> ParallelSet:
    """XQuAD-R (11 languages) or MLQA-R (7): the relevant sentence is the one in which the answer starts.

    Returns:
        1,190 questions and 13,014 sentences, or 1,148 questions and 20,534 sentences; questions in the order
        of the English file, grouped by the English article title.
    """
    files = download.fetch(name)
    articles = {Path(f).stem: json.loads(path.read_text(encoding="utf-8"))["data"] for f, path in files.items()}
    titled = [(qa["id"], title) for title, paragraph in _paragraphs(articles["en"]) for qa in paragraph["qas"]]
    questions = pd.DataFrame(titled, columns=["id", "group"])
    questions["split"] = questions["group"].map(parallel.split_of)
    number = {id_: row for row, id_ in enumerate(questions["id"])}
    queries, passages, answers = [], [], []
    for language in sorted(articles):
        start = len(passages)
        for _, paragraph in _paragraphs(articles[language]):
            first = len(passages)
            for sentence in paragraph["sentences"]:
                text = sentence if candidates == "sentence" else f"{sentence} {paragraph['context']}"
                passages.append((f"{language}-{len(passages) - start:05d}", language, text))
            for qa in paragraph["qas"]:
                answers.append((number[qa["id"]], first + _answer_sentence(paragraph, qa)))
                queries.append((number[qa["id"]], language, qa["question"]))
    pool = name if candidates == "sentence" else f"{name}+paragraph"
    return parallel.assemble(name, questions, queries, passages, answers, pool)


def _paragraphs(articles: list[dict]) -> Iterator[tuple[str, dict]]:
    """Each paragraph, after the title of its article."""
    for article in articles:
        for paragraph in article["paragraphs"]:
            yield article["title"].replace("_", " "), paragraph


def _answer_sentence(paragraph: dict, qa: dict) -> int:
    """Index of the sentence in which the answer starts; breaks are half-open (in Chinese they touch)."""
    start = qa["answers"][0]["answer_start"]
    for i, (begin, end) in enumerate(paragraph["sentence_breaks"]):
        if begin <= start < end:
            return i
    raise UserError(f"question {qa['id']}: its answer starts in no sentence; the data file is not as released")
