"""mMARCO v2: MS MARCO's training triples in seven languages, sampled, joined by id, as parallel JSONL.

A triple is (query, passage that answers it, passage that does not), by ids that all languages share: 39,780,811, the
size that the paper's table 9 gives for each language. The collections take 2.7 to 7.7 GB each, so the triples are
sampled first; then each file is read once, and only the texts that the sample needs are kept. The package
`ir_datasets` downloads the files and checks their MD5. Only its paths are used: its document store is a pickle.
"""

import hashlib
import heapq
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...base import progress
from ...base import store as artifacts
from ...base.errors import UserError
from .. import download

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "zh")  # those of table 9
TRIPLES = 500_000  # as many as the profile `paper` looks at: 5,000 steps of 100
SEED = 0
# English is the original. Its triples are mMARCO's, which has them by id; as text they would be 7.9 GB to download.
SOURCES = {x: "msmarco-passage/train" if x == "en" else f"mmarco/v2/{x}/train" for x in LANGUAGES}
INCOMPLETE = 0.01  # the share of triples that may lack a text before the files are taken for damaged
FILE = "mmarco.jsonl"

Triple = tuple[str, str, str]  # ids of a query, of a passage that answers it, and of one that does not


def fetch(number: int = TRIPLES, seed: int = SEED) -> Path:
    """Return the JSONL file of a sample of the triples (see `data.jsonl.read_rows`), making it if need be.

    Args:
        number: triples to sample. Those that lack a text in some language are left out afterwards.
        seed: of the sample.

    Raises:
        UserError: the files cannot be had, or are not as released.
    """
    return artifacts.make("mmarco", identity(number, seed), lambda folder: _build(folder, number, seed)) / FILE


def identity(number: int = TRIPLES, seed: int = SEED) -> dict[str, Any]:
    """What pins the rows without downloading anything: the released files are checked by MD5."""
    return {"sources": SOURCES, "triples": number, "seed": seed}


def sample(path: Path, number: int, seed: int = SEED) -> list[Triple]:
    """The triples whose hashes are smallest: the same ones in whatever order the file has them.

    Args:
        path: lines of three ids with tabs between; equal lines count once.
        number: how many. A larger sample holds the smaller ones of the same seed.
    """

    def place(line: bytes) -> bytes:
        return hashlib.blake2b(line, digest_size=8, key=str(seed).encode()).digest()

    with open(path, "rb") as file:
        chosen = heapq.nsmallest(number, (line.strip() for line in file), key=place)
    return [tuple(line.decode().split("\t")) for line in dict.fromkeys(chosen)]


def texts(path: Path, wanted: set[str]) -> dict[str, str]:
    """Those texts of a file of lines ``id <tab> text`` that are wanted, by id; the file is read once, and not kept."""
    ids = {id_.encode() for id_ in wanted}
    found = {}
    with open(path, "rb") as file:
        for line in file:
            id_, _, text = line.partition(b"\t")
            if id_ in ids:
                found[id_.decode()] = text.decode("utf-8").strip()
    return found


def rows(
    triples: list[Triple], queries: dict[str, dict[str, str]], passages: dict[str, dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """Parallel rows of the triples that are complete: three texts in every language, the wrong one not the right one.

    All rows are for training: MS MARCO keeps development questions of its own.

    Args:
        triples: by ids.
        queries, passages: texts by language and id.
    """
    for query, positive, negative in triples:
        sides = {
            "q": {x: queries[x].get(query, "") for x in queries},
            "p": {x: passages[x].get(positive, "") for x in passages},
            "n": {x: passages[x].get(negative, "") for x in passages},
        }
        complete = all(text for side in sides.values() for text in side.values())
        if complete and all(sides["p"][x] != sides["n"][x] for x in passages):
            yield {"id": f"{query}#{positive}-{negative}", "split": "train", **sides}


def released(language: str, part: str) -> Path:
    """The local path of a released file, downloaded if need be.

    Args:
        language: one of `LANGUAGES`.
        part: ``docs``, ``queries`` or ``docpairs`` (the triples).

    Raises:
        UserError: `ir_datasets` is not installed, or the file cannot be had.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("IR_DATASETS_DL_DISABLE_PBAR", "true")
    name, source = SOURCES[language], download.ir_datasets("mmarco")
    try:
        return Path(getattr(source.load(name), f"{part}_path")())
    except Exception as error:  # of requests, of the MD5 check, of a full disk: the remedy is the same
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = "connect and start again (files that are complete are kept), or train on a file of your own"
        raise UserError(f"mMARCO: {part} of {name} cannot be had ({reason}): {remedy}") from error


def _build(folder: Path, number: int, seed: int) -> None:
    triples = sample(released("de", "docpairs"), number, seed)  # the file is the same for all of mMARCO's languages
    query_ids = {query for query, _, _ in triples}
    passage_ids = {id_ for _, *answers in triples for id_ in answers}
    queries, passages = {}, {}
    with progress.task("reading mMARCO, languages", len(LANGUAGES)) as task:
        for language in LANGUAGES:
            queries[language] = texts(released(language, "queries"), query_ids)
            passages[language] = texts(released(language, "docs"), passage_ids)
            task.advance()
    written = 0
    with open(folder / FILE, "w", encoding="utf-8", newline="\n") as file:
        for row in rows(triples, queries, passages):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    if written < len(triples) * (1 - INCOMPLETE):
        raise UserError(_incomplete(triples, queries, passages, written))


def _incomplete(triples: list[Triple], queries: dict, passages: dict, written: int) -> str:
    """Which language lacks most, in one line."""
    lacking = {x: sum(not (queries[x].get(q) and passages[x].get(p)) for q, p, _ in triples) for x in queries}
    worst = max(lacking, key=lacking.__getitem__)
    return (
        f"mMARCO: only {written:,} of {len(triples):,} triples have all their texts, and {worst} lacks most; "
        f"the files of {SOURCES[worst]} are not as released: delete them and start again"
    )
