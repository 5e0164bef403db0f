"""Checkpoint choice as in the paper (section 3.1): the lowest validation loss on English SQuADShifts.

Three of its four domains: new Wikipedia, Reddit and Amazon reviews; the New York Times part is not distributed with
the others any more. The paper gives neither the interval nor the patience: here every checkpoint, and three without
a lower loss.
"""

import hashlib
import json
import re
from functools import cache

from .. import download

DOMAINS = ("new_wiki", "reddit", "amazon_reviews")
PAIRS_PER_DOMAIN = 128
PATIENCE = 3
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@cache
def pairs() -> list[tuple[str, str]]:
    """128 questions of each domain with the sentence in which their answer starts; domains in turn.

    At most one question a paragraph, picked by a fixed hash, so that no batch holds two questions with one answer.
    """
    files = download.fetch("squadshifts")
    chosen = []
    for domain in DOMAINS:
        articles = json.loads(files[f"{domain}_v1.0.json"].read_text(encoding="utf-8"))["data"]
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"] if paragraph["qas"]]
        paragraphs.sort(key=lambda paragraph: hashlib.sha256(paragraph["context"].encode()).digest())
        chosen.append([_pair(paragraph) for paragraph in paragraphs[:PAIRS_PER_DOMAIN]])
    return [pair for turn in zip(*chosen, strict=True) for pair in turn]


def _pair(paragraph: dict) -> tuple[str, str]:
    question = min(paragraph["qas"], key=lambda qa: qa["id"])
    return question["question"].strip(), sentence(paragraph["context"], question["answers"][0]["answer_start"])


def sentence(text: str, position: int) -> str:
    """The sentence of an English text that holds a position; sentences end with ``.``, ``!`` or ``?`` and a space."""
    start = 0
    for end in SENTENCE_END.finditer(text):
        if position < end.start():
            return text[start : end.start()]
        start = end.end()
    return text[start:]
