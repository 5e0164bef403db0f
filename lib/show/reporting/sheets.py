"""A run's tables as its report shows them: fewer columns, rounded numbers, the exact ones kept for sorting."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from ...base import paths
from ...base.config import Run
from ...data import download
from ...evidence import selection, tables
from ...evidence.effects import ALL, SEEN, UNSEEN
from ...figures import style
from .. import texts, views

MINUS = "\N{MINUS SIGN}"
NAMES = {  # of columns of the tables on disk, as people read them
    "dataset": "tested on",
    "test": "tested on",
    "train": "trained on",
    "nearer": "trained on",
    "farther": "or on",
    "metric": "measure",
    "baseline": "compared with",
    "clusters": "articles",
    "paper_encoder": "the paper's encoder",
    "table": "paper's table",
}


class Field(NamedTuple):
    """What a field of a table shows, and the number that it is sorted by, if it is one (None where it is missing)."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Sheet:
    """A table of the report.

    Attributes:
        title: its caption.
        note: what a reader needs to know beside it.
        rows: by column: numbers as `Field`, everything else as text.
        source: the file that it is taken from, in the run's folder.
    """

    title: str
    note: str
    rows: pd.DataFrame
    source: str

    @property
    def numbers(self) -> set[str]:
        """The columns that hold numbers."""
        return {name for name in self.rows if self.rows[name].map(lambda x: isinstance(x, Field)).any()}

    @property
    def head(self) -> str:
        """The column that names a row: its strategy, or else the first."""
        return "strategy" if "strategy" in self.rows else self.rows.columns[0]


def number(value: float, form: str = ".3f") -> Field:
    """A number with a true minus; nothing where there is none."""
    return Field("") if pd.isna(value) else Field(format(value, form).replace("-", MINUS), float(value))


def interval(value: float, low: float, high: float, form: str = "+.3f") -> Field:
    """A number with its 95% interval; nothing where there is none."""
    if pd.isna(value):
        return Field("")
    middle, *ends = (number(x, form).text for x in (value, low, high))
    return Field(f"{middle} [{', '.join(ends)}]", float(value))


def answer(rows: pd.DataFrame) -> Sheet:
    """What the answer rests on; ``rows`` are those of `evidence.shift.compared`."""
    shown = pd.DataFrame(
        {
            "encoder": rows["encoder"],
            "tested on": rows["test"],
            "trained on": rows["farther"],
            "instead of": rows["nearer"],
            "strategy": rows["baseline"],
            "cost of hybrid": rows["hybrid"].map(number, form="+.3f"),
            "its cost": rows["cost"].map(number, form="+.3f"),
            "D [95% interval]": _intervals(rows, "value"),
            "that is": rows["verdict"],
            "seeds": rows["seeds"].map(number, form=",.0f"),
        }
    )
    note = "Multilingual mAP on the same questions. On MLQA-R, and its mirror on XQuAD-R."
    return Sheet("Hybrid batches against each other strategy", note, shown, "domain_shift.csv")


def own(run: Run) -> Sheet:
    """On data of one's own: mAP of each strategy, and hybrid minus it in the pool of all languages.

    After several trainings that of no fine-tuning is in the table of paired differences alone: it is one row here.
    """
    metrics = tables.read(run, "metrics.csv")
    wide = selection.headline(metrics).reset_index()
    wide["label"] = wide["strategy"].str.replace(" ", "-")
    many = wide.loc[wide["train"] != "none", "train"].nunique() > 1
    keys = [*selection.several(metrics), "dataset", *(["train"] if many else [])]
    paired = tables.read(run, "effects.csv")
    paired = paired[(paired["metric"] == "map") & (paired["languages"] == "all")]
    paired = paired[(paired["setting"] == "multilingual") & paired["strategy"].str.startswith("hybrid")]
    apart = paired.rename(columns={"baseline": "label"})[[*keys, "label", "difference", "low", "high"]]
    rows = wide.merge(apart, how="left", on=[*keys, "label"])
    maps = [name for name in ("multilingual", "monolingual", "cross-lingual") if name in rows]
    shown = rows[["strategy", *keys]].rename(columns=NAMES).join(rows[maps].map(number))
    shown["hybrid minus it, multilingual"] = _intervals(rows, "difference")
    note = "Means over seeds." + (" Hybrid minus none after each training: see the paired differences." if many else "")
    return Sheet("mAP before and after training", note, shown, "metrics.csv")


def main(run: Run) -> Sheet:
    """The main table: mAP in the three settings and rank distance."""
    metrics = tables.read(run, "metrics.csv")
    wide = selection.headline(metrics)
    keyed = metrics.assign(strategy=selection.labels(metrics))
    seeds = keyed.groupby(wide.index.names)["seed"].nunique().reindex(wide.index)
    rows = wide.reset_index().rename(columns=NAMES)
    for name in wide:
        rows[name] = rows[name].map(number, form=",.0f" if name == "rank distance" else ".3f")
    rows["seeds"] = [number(count if count else None, ",.0f") for count in seeds]
    note = "mAP, and rank distance (lower is better); means over seeds. none is the encoder before any fine-tuning."
    return Sheet("mAP in each setting, and rank distance", note, rows, "metrics.csv")


def by_language(run: Run) -> Sheet:
    """Multilingual mAP by the language of the question, one column a language."""
    table = tables.read(run, "metrics_by_language.csv.bz2")
    table = table[(table["metric"] == "map") & (table["setting"] == "multilingual")]
    wide = views.by_strategy(table, "query_language")
    rows = wide[selection.ordered(wide.columns)].map(number).reset_index().rename(columns=NAMES)
    note = "One pool of all languages; means over seeds. An empty field: the set has no questions in that language."
    return Sheet("Multilingual mAP by the language of the question", note, rows, "metrics_by_language.csv.bz2")


def effects(run: Run) -> Sheet:
    """Paired differences between two strategies."""
    table = tables.read(run, "effects.csv")
    rows = _named(table, ["encoder", "dataset", "train", "setting", "metric", "languages", "strategy", "baseline"])
    rows["difference [95% interval]"] = _intervals(table, "difference")
    rows["p (Holm)"] = table["p_holm"].map(number, form=".4f")
    relative = table[["relative", "relative_low", "relative_high"]].to_numpy()
    rows["relative reduction"] = [interval(*each, form=".1%") for each in relative]
    note = (
        "The strategy minus the one it is compared with, question by question. Intervals and p are over articles and "
        "seeds. A negative difference of rank distance is better."
    )
    return Sheet("Paired differences", note, rows.join(_counts(table, ["questions", "seeds"])), "effects.csv")


def shifts(run: Run) -> Sheet:
    """What training farther away costs each strategy, and how hybrid differs from the others in that and in mAP.

    Query languages one by one, which are nine rows of ten, are left to the table on disk.
    """
    table = tables.read(run, "domain_shift.csv").astype({"baseline": object, "verdict": object})
    table = table[table["languages"].isin([ALL, SEEN, UNSEEN])]
    table = table.fillna({"baseline": "", "verdict": ""})
    columns = ["encoder", "test", "nearer", "farther", "setting", "languages", "strategy", "baseline", "quantity"]
    rows = _named(table, columns)
    rows["value [95% interval]"] = _intervals(table, "value")
    rows["that is"] = table["verdict"]
    note = (
        "Cost: mAP on the same questions after training on the first set less that after training on the second. Where "
        "two strategies are compared, the first minus the second. Each query language by itself is in domain_shift.csv."
    )
    return Sheet("Domain shift", note, rows.join(_counts(table, ["clusters", "seeds"])), "domain_shift.csv")


def overlap(run: Run) -> Sheet:
    """What training and test sets share."""
    table = tables.read(run, "overlap.csv").astype({"example": object}).fillna({"example": ""})
    rows = _named(table, ["train", "dataset", "unit", "match", "example"])
    rows = rows.join(_counts(table, ["found", "of"]))
    return Sheet("What training and test sets share", "Exact text, and near copies.", rows, "overlap.csv")


def ledger(run: Run) -> Sheet:
    """The paper's numbers beside ours, where this run has the same quantity; the strategies side by side."""
    table = tables.read(run.of_first(), "ledger.csv.bz2")
    ours = table[table["ours"].notna()].astype({"note": object}).fillna({"note": ""})
    columns = ["table", "paper_encoder", "dataset", "setting", "metric", "language"]
    alike = ours.groupby(columns, sort=False).agg(
        order=("order", "first"), note=("note", lambda notes: "; ".join(filter(None, dict.fromkeys(notes))))
    )
    rows = _named(alike.reset_index(), columns)
    forms = [",.0f" if metric == "rank_distance" else ".3f" for metric in rows["measure"]]
    for strategy, part in ours.groupby("strategy", sort=False):
        part = part.set_index(columns).reindex(alike.index)
        for name in ("paper", "ours"):
            rows[f"{strategy}: {name}"] = [number(*each) for each in zip(part[name], forms, strict=True)]
        rows[f"{strategy}: direction"] = part["direction"].fillna("").to_list()
    rows = rows.assign(**{name: alike[name].to_list() for name in alike})
    note = (
        f"{len(ours)} of the {len(table)} cells of the paper's tables 1 to 8; the others have no counterpart here. "
        "Encoders and training data differ: what can agree is the direction from hybrid, and the order of the three."
    )
    return Sheet("The paper beside ours", note, rows, "ledger.csv.bz2")


def made_cells(cells: dict[str, dict]) -> Sheet:
    """The cells of a run, as ``provenance.json`` lists them: machine, time, and the digest of the ranks."""
    rows = [
        {
            "cell": name,
            "device": cell["made"]["device"],
            "cores": number(cell["made"]["cores"], ",.0f"),
            "precision": cell["made"]["precision"],
            "evaluation, s": number(cell["made"]["evaluation_seconds"], ",.0f"),
            "SHA-256 of its ranks": cell["sha256"],
        }
        for name, cell in cells.items()
    ]
    note = "A cell is one training (or none) and its evaluation."
    return Sheet("Cells", note, pd.DataFrame(rows), tables.PROVENANCE)


def files(sets: Iterable[str]) -> Sheet:
    """The benchmark files of data sets, with the digests that they are checked against."""
    rows = [
        {"file": file.path, "bytes": number(file.bytes, ",.0f"), "licence": file.licence, "SHA-256": file.sha256}
        for name in sets
        for file in download.files_of(name)
    ]
    note = "Each file is checked before it is read."
    return Sheet("Data files", note, pd.DataFrame(rows, columns=["file", "bytes", "licence", "SHA-256"]), "")


def base(strategy: str) -> str:
    """The strategy that a label stands for, as in `figures.style.COLOURS`: that of ``hybrid 0.5`` is ``hybrid``."""
    found = "hybrid" if strategy.startswith("hybrid") else strategy
    return found if found in style.COLOURS else ""


def _named(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns of a table as text, under the names that people read."""
    return table[columns].astype(str).rename(columns=NAMES)


def _intervals(table: pd.DataFrame, value: str) -> list[Field]:
    """Values with their intervals, in mAP or, where the metric is one, in ranks."""
    metrics = table["metric"] if "metric" in table else ["map"] * len(table)
    forms = ["+,.0f" if metric == "rank_distance" else "+.3f" for metric in metrics]
    numbers = table[[value, "low", "high"]].to_numpy()
    return [interval(*row, form) for row, form in zip(numbers, forms, strict=True)]


def _counts(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[columns].map(number, form=",.0f").rename(columns=NAMES)


def claims_in_words(claims: pd.DataFrame) -> str:
    """How many of the paper's claims came out how, from ``claims.csv``; those on results apart from the others."""
    own = claims[claims["id"].str.fullmatch(r"\d+")]
    listed = pd.read_csv(paths.PUBLISHED / "claims.csv", dtype=str)
    on_results = own["id"].isin(listed.loc[listed["kind"] == "effect", "id"])
    parts = []
    for what, part in (("claims on results", own[on_results]), ("on method and data", own[~on_results])):
        waits = " (provisional)" if part["reason"].str.contains("provisional").any() else ""
        parts.append(f"{len(part)} {what}: {texts.by_verdict(part['verdict'].tolist())}{waits}")
    return f"Of the paper's {'; of its '.join(parts)}"
