"""TREC files of a run's finished cells, for trec_eval and every tool that reads its formats::

    python -m lib.interop.trec --profile smoke --cells '*_hybrid-0.5_seed0' --out trec

For each data set it writes, gzipped::

    facts/languages.tsv.gz                    docid, tab, language: every passage of the pool
    facts/qrels/monolingual/de.qrels.gz       qid 0 docid 1
    facts/<cell>/monolingual/de.run.gz        qid Q0 docid rank score tag

``monolingual/de`` are German questions against the German passages, ``cross-lingual/de_en`` against the English ones,
``multilingual/de`` against the pool of all: each file is one row of ``metrics_by_language.csv.bz2``. A qid is the
language (``pt_BR`` for pt-BR) and the question's id, so that files can be put together. The score is made from the
rank, and falls strictly: equal similarities, which trec_eval would order by docid, keep our order
(`evaluation.search`) in every tool.
"""

import gzip
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from ..base import paths, progress
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError, told
from ..data.catalog import BY_SHARD, evaluation_set
from ..data.sets import ParallelSet
from ..encoders import encode as embedding
from ..encoders import load as encoders
from ..evaluation import search
from ..runs import cells
from ..runs import plan as grid
from ..runs.plan import Cell
from . import exports

DEPTH = 1000
BREAKS = re.compile(r"[\s%]")  # what ends a field, and the sign that stands for it


class Setting(NamedTuple):
    """Queries of one language against the passages of one language or of all.

    Attributes:
        name: ``monolingual/de``, ``cross-lingual/de_en`` or ``multilingual/de``.
        corpus: rows of ``passages`` that are searched: first, and one past the last.
        qrels: the relevant pairs of these queries among them, rows of the set's ``qrels``.
    """

    name: str
    corpus: tuple[int, int]
    qrels: pd.DataFrame

    @property
    def queries(self) -> np.ndarray:
        """Rows of ``queries`` that have an answer here, as `evaluation.metrics.units` counts them."""
        return self.qrels["query"].unique()


def settings(data: ParallelSet) -> list[Setting]:
    """All settings that a set is scored in, those of one corpus after each other; the pool of all last."""
    language = data.passages["language"].to_numpy()
    asked = data.queries["language"].to_numpy()[data.qrels["query"]]
    answered = language[data.qrels["passage"]]
    found = []
    for own in dict.fromkeys(language):
        rows = np.flatnonzero(language == own)
        for query_language, qrels in data.qrels[answered == own].groupby(asked[answered == own], sort=False):
            name = f"monolingual/{own}" if query_language == own else f"cross-lingual/{query_language}_{own}"
            found.append(Setting(name, (int(rows[0]), int(rows[-1]) + 1), qrels))
    if (asked != answered).any() and len(set(answered)) > 1:  # else not parallel: no multilingual setting
        for query_language, qrels in data.qrels.groupby(asked, sort=False):
            found.append(Setting(f"multilingual/{query_language}", (0, len(language)), qrels))
    return found


def write(run: Run, cell: Cell, folder: Path, depth: int | None = DEPTH) -> None:
    """Write all files of a finished cell.

    Args:
        depth: passages a query; None for all that are searched. What is relevant beyond it counts as not found: mAP is
            then lower than ours, which has no cutoff, by at most (relevant passages a query) / depth.

    Raises:
        UserError: the cell's model is not in the store.
    """
    model = encoders.load(cells.model(run, cell))
    names = grid.evaluated(cell, run.config)
    for data, queries, passages in embedding.encode_sets(model, names, cell.settings(run.config)):
        chosen, named = settings(data), ids(data)
        write_judgements(data, chosen, folder / data.name)
        with progress.task(f"writing {cell.id} on {data.name}, rankings", len(chosen)) as task:
            for corpus, alike in groupby(chosen, key=lambda setting: setting.corpus):
                order = _order(queries, passages, corpus, depth)
                for setting in alike:
                    path = folder / data.name / token(cell.id) / f"{setting.name}.run.gz"
                    _write(path, _run_lines(named, order, setting.queries, token(cell.id)))
                    task.advance()


def write_judgements(data: ParallelSet, chosen: list[Setting], folder: Path) -> None:
    """Write what all cells share: the qrels of each setting, and the language of every passage."""
    qids, docids = ids(data)
    lines = (f"{docid}\t{language}\n" for docid, language in zip(docids, data.passages["language"], strict=True))
    _write(folder / "languages.tsv.gz", lines)
    for setting in chosen:
        pairs = setting.qrels[["query", "passage"]].to_numpy()
        lines = (f"{qids[query]} 0 {docids[passage]} 1\n" for query, passage in pairs)
        _write(folder / "qrels" / f"{setting.name}.qrels.gz", lines)


def lines(data: ParallelSet, depth: int | None) -> int:
    """How many lines the run files of a cell have for a set."""
    sizes = ((setting, setting.corpus[1] - setting.corpus[0]) for setting in settings(data))
    return sum(len(setting.queries) * min(depth or size, size) for setting, size in sizes)


def ids(data: ParallelSet) -> tuple[list[str], list[str]]:
    """The qid of each query and the docid of each passage."""
    id_ = data.questions["id"].to_numpy()[data.queries["question"]]
    language = data.queries["language"].str.replace("-", "_")  # else BR-1 in pt is 1 in pt-BR
    qids = [token(f"{code}-{text}") for code, text in zip(language, id_, strict=True)]
    return qids, [token(docid) for docid in data.passages["docid"]]


def token(text: str) -> str:
    """A text without white space, different for different texts: ``a b`` becomes ``a%20b``."""
    return BREAKS.sub(lambda found: quote(found[0]), text)


def main(arguments: list[str] | None = None) -> int:
    """Write the files of the finished cells that are asked for; returns the exit status."""
    return told(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    take = exports.parser("trec", "Writes TREC runs, qrels and docid-language maps of finished cells.")
    take.add_argument("--depth", default=DEPTH, help=f"passages a query, or 'all' (default: {DEPTH})")
    asked = take.parse_args(arguments)
    depth = None if asked.depth == "all" else _number(asked.depth)
    run, chosen = exports.finished(asked.profile, asked.overrides, asked.cells)
    folder = asked.out or run.folder / "trec"
    for cell in (cell for cell in chosen if cell.on == BY_SHARD):
        print(f"{cell.id}: of {BY_SHARD} only ranks are kept, from which no run can be written")
    chosen = [cell for cell in chosen if cell.on != BY_SHARD]
    for cell in chosen:
        cells.model(run, cell)  # whatever is missing is told before anything is written
    for cell in chosen:
        sets = [evaluation_set(name, run.config.candidates) for name in grid.evaluated(cell, run.config)]
        count = sum(lines(data, depth) for data in sets)
        print(f"{cell.id}: {count:,} lines on {', '.join(data.name for data in sets)}", flush=True)
        write(run, cell, folder, depth)
    print(f"written to {paths.shown(folder)}")


def _number(text: str | int) -> int:
    try:
        depth = int(text)
    except ValueError:
        depth = 0
    if depth < 1:
        raise UserError(f"--depth {text}: a whole number from 1 is right, such as {DEPTH}, or all")
    return depth


def _order(queries: np.ndarray, passages: np.ndarray, corpus: tuple[int, int], depth: int | None) -> np.ndarray:
    """int32 [queries, up to depth]: for each query the rows of the best passages of a corpus, best first."""
    first, end = corpus
    blocks = search.scores(queries, passages)  # whole, as for our ranks: a part may differ in the last bit
    k = min(depth or end - first, end - first)
    return np.concatenate([(search.top_passages(block[:, first:end], k) + first).astype(np.int32) for block in blocks])


def _run_lines(named: tuple[list, list], order: np.ndarray, queries: np.ndarray, tag: str) -> Iterator[str]:
    """The lines of a run file, all of one query at once; ``named`` as `ids` returns it."""
    qids, docids = named
    depth = order.shape[1]
    ends = [f" {rank} {depth + 1 - rank} {tag}\n" for rank in range(1, depth + 1)]
    for query in queries:
        start = f"{qids[query]} Q0 "
        yield "".join([start + docids[row] + end for row, end in zip(order[query].tolist(), ends, strict=True)])


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a gzipped text without a time stamp: the same lines are the same bytes."""
    with (
        artifacts.replacing(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        file.writelines(line.encode() for line in lines)


if __name__ == "__main__":
    sys.exit(main())
