"""A language audit of any encoder on any parallel set, without training (see `lib.interop.audit`, the command).

Does the encoder rank passages by their language rather than by their content? What is measured is what a cell without
training measures, by the same functions; nothing of it is kept, but the encoder in the store.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base import config, device
from ..base.config import Run
from ..base.errors import UserError
from ..data import catalog as data
from ..data.sets import ParallelSet
from ..encoders import load as encoders
from ..evaluation import bias, metrics
from ..evaluation.measures import MEASURES
from ..evaluation.search import Ranking
from ..evidence import effects, stats
from ..runs import cells, names
from ..runs import plan as grid
from ..runs import preflight as checks
from ..show import bias_views, texts

COLUMNS = ["encoder", "dataset", "setting", "language", "measure", "value", "low", "high"]
ALL, POOL = metrics.POOL, "multilingual"
GAP, PREFERENCE = "monolingual - cross-lingual", "own_first - chance"
VECTORS = {"before": "vectors", "after": "centred vectors", "chance": "by chance"}
PROBES = {
    "language_accuracy": "language told by a linear probe",
    "own_language_neighbours": "own language among 10 neighbours",
    "centroid_distance": "distance of the languages' means",
}


def audit(encoder: str, dataset: str, overrides: Sequence[str] = ()) -> pd.DataFrame:
    """Measure an encoder on a parallel set.

    Args:
        encoder: a name, a hub id or a folder, as in a profile.
        dataset: a set of `data.catalog.evaluation_set`, or a parallel JSONL file.
        overrides: ``key=value`` for keys of `base.config.Config` that an evaluation depends on, such as ``max_tokens``.

    Returns:
        One row a number: ``encoder, dataset, setting, language, measure, value, low, high``. ``language`` is that of
        the questions, or ``all`` for the macro mean; ``low`` and ``high`` end its 95% interval over questions.

    Raises:
        UserError: the encoder or the set is not there, or cannot be read; or the set is not parallel.
    """
    ranking, read, chosen = measured(encoder, dataset, overrides)
    rows = _retrieval(ranking, chosen) + _bias(ranking, chosen)
    rows += [_row(name, key, value) for when, name in VECTORS.items() for key, value in read[when].items()]
    return pd.DataFrame(rows).round(6).assign(encoder=encoder, dataset=dataset)[COLUMNS]


@device.as_fresh()
def measured(encoder: str, dataset: str, overrides: Sequence[str] = ()) -> tuple[Ranking, dict, ParallelSet]:
    """The ranking of a set by an encoder, what is read off its vectors, and the set; arguments as of `audit`."""
    encoder, dataset = str(encoder), str(dataset)
    run = _run(encoder, dataset, overrides)
    settings = run.config.of(encoder)
    chosen = data.evaluation_set(dataset, settings.candidates)
    checks.scorable(dataset, chosen)
    if not _has_both(chosen):
        right = "a gap between the two needs some that are"
        raise UserError(f"{dataset}: no question is answered both in its own language and in another; {right}")
    checks.work(run, grid.plan(run.config))
    model = encoders.load(encoders.fetched(encoder))
    rankings, vectors, _ = cells.evaluate(model, [dataset], settings, parts=("vectors",))
    return rankings[dataset], vectors[dataset], chosen


def verdict(found: pd.DataFrame) -> str:
    """What an audit says, in two sentences, each by the interval that it names.

    The first compares how often the answer comes first in the question's own language with chance; the second mAP in
    one's own language with that in others, by the one rule of comparison (`evidence.stats.compared`).
    """
    gap = _interval(found, GAP)
    jinja = texts.templates(Path(__file__).with_name("templates"))
    return jinja.get_template("audit_verdict.txt.j2").render(
        name=names.name(found["encoder"].iloc[0]),
        preference=_interval(found, PREFERENCE),
        share=_interval(found, "own_share").value,
        share_of_pool=_interval(found, "own_share", "by chance").value,
        first=_interval(found, "own_first").value,
        first_by_chance=_interval(found, "own_first", "by chance").value,
        gap=gap,
        compared=stats.compared(gap, effects.MARGIN),
        pooled=_by_language(found, "map")[POOL].rename(texts.language),
    )


def text(found: pd.DataFrame, chosen: ParallelSet) -> str:
    """An audit as people read it: four tables and the verdict; columns are set apart by tabs, for spreadsheets too."""
    title = (
        f"{names.name(found['encoder'].iloc[0])} on {chosen.name}: {len(chosen.questions):,} questions, "
        f"{len(chosen.languages)} languages, {len(chosen.passages):,} passages"
    )
    parts = [
        ("Retrieval", _retrieval_table(found)),
        ("Language bias, in one pool of all languages", _bias_table(found)),
        ("By language of the question", _language_table(found)),
        ("Language in the vectors", _vector_table(found)),
    ]
    tables = "\n\n".join(f"{name}\n{aligned(table)}" for name, table in parts)
    return f"{title}\n\n{tables}\n\n{verdict(found)}\nIntervals: 95%, over questions alone."


def _run(encoder: str, dataset: str, overrides: Sequence[str]) -> Run:
    """A run of one cell without training, checked as any run is; its folder is never made."""
    named = [f"encoder={json.dumps(encoder)}", f"eval={json.dumps([dataset])}", "train=facts", "strategies=[none]"]
    if not encoders.is_built_here(encoder) and not any(text.startswith("precision=") for text in overrides):
        named.append("precision=float32")  # nobody has looked at what bfloat16 does to an encoder of one's own
    run = config.load("quick", [*named, *overrides])
    checks.plan(run)
    return run


def _has_both(chosen: ParallelSet) -> bool:
    """Whether a question has answers both in its own language and in another one."""
    query, passage = (chosen.qrels[name].to_numpy() for name in ("query", "passage"))
    own = chosen.queries["language"].to_numpy()[query] == chosen.passages["language"].to_numpy()[passage]
    return bool((pd.Series(own).groupby(chosen.queries["question"].to_numpy()[query]).nunique() > 1).any())


def _retrieval(ranking: Ranking, chosen: ParallelSet) -> list[dict[str, Any]]:
    """mAP in the three settings, over all languages and for each, and the gap between the first two: of the questions
    that have both, so that each is set against itself."""
    units = metrics.units(ranking.ranks)
    values = precisions(units, chosen)
    found = {setting: stats.estimate(array) for setting, array in values.items()}
    rows = [_row(setting, "map", estimate.interval()) for setting, estimate in found.items()]
    both = np.logical_and(*(~np.isnan(values[name]).all(axis=(1, 2)) for name in metrics.SETTINGS[:2]))
    one, two = (_asked(values[name][both]) for name in metrics.SETTINGS[:2])
    gap = (stats.estimate(one) - stats.estimate(two)).interval()
    means = metrics.by_language(units)
    languages = means[means["metric"] == "map"].groupby(["setting", "query_language"])["value"].mean()
    rows += [_row(setting, "map", value, language) for (setting, language), value in languages.items()]
    worst = bias.gap(means).set_index("measure")["value"]
    rows += [_row(setting, "worst language", worst[f"worst language, {setting}"]) for setting in metrics.SETTINGS]
    return [*rows, _row(POOL, GAP, gap)]


def precisions(units: pd.DataFrame, chosen: ParallelSet) -> dict[str, np.ndarray]:
    """Average precision in each setting, as `evidence.stats` takes it: float [questions, languages or pairs, 1]."""
    values = {}
    for setting in metrics.SETTINGS:
        part = units[units["setting"] == setting]
        wide = part.pivot(index="question", columns=["query_language", "passage_language"], values="map")
        values[setting] = _per_question(wide, chosen)
    return values


def preferences(ranking: Ranking, chosen: ParallelSet) -> dict[str, np.ndarray]:
    """The measures of `evaluation.bias` of each question, as `precisions` gives its own."""
    by_query = bias.per_query(ranking.ranks).drop(columns="map")
    return {name: _per_question(by_query[name].unstack(), chosen) for name in by_query.dropna(axis=1, how="all")}


def _bias(ranking: Ranking, chosen: ParallelSet) -> list[dict[str, Any]]:
    """The measures of `evaluation.bias` in the pool of all languages, and what chance would give, where it is known."""
    ranks = ranking.ranks
    by_query = bias.per_query(ranks).drop(columns="map")
    own = (ranks["passage_language"] == ranks["query_language"]).groupby([ranks[name] for name in bias.QUERY]).mean()
    chance = own.where(by_query["own_first"].notna())
    values = preferences(ranking, chosen)
    expected = _per_question(chance.unstack(), chosen)
    rows = [_row(POOL, name, stats.interval(array)) for name, array in values.items()]
    rows.append(_row(POOL, PREFERENCE, stats.interval(values["own_first"] - expected)))
    rows.append(_row("by chance", "own_first", stats.macro_mean(expected)))
    top = bias.top_shares(ranking.top, chosen.languages, chosen.passages["language"])
    same = top[top["query_language"] == top["passage_language"]]
    rows.append(_row(POOL, "own_share", bias.own_language_share(top)))
    rows.append(_row("by chance", "own_share", same["pool_share"].mean()))
    rows.append(_row(POOL, "share_distance", bias.share_distance(top)))
    for row in same.itertuples():
        rows.append(_row(POOL, "own_share", row.share, row.query_language))
        rows.append(_row("by chance", "own_share", row.pool_share, row.query_language))
    return rows


def _per_question(wide: pd.DataFrame, chosen: ParallelSet) -> np.ndarray:
    """float [questions, languages or pairs, 1], as `evidence.stats` takes it; NaN where a question has no value."""
    return wide.dropna(axis=1, how="all").reindex(range(len(chosen.questions))).to_numpy(float)[:, :, None]


def _asked(values: np.ndarray) -> np.ndarray:
    """The languages, or pairs, that any of these questions exists in."""
    return values[:, ~np.isnan(values).all(axis=(0, 2))]


def _row(setting: str, measure: str, value: float | stats.Interval, language: str = ALL) -> dict[str, Any]:
    sure = value if isinstance(value, stats.Interval) else stats.Interval(value, np.nan, np.nan)
    row = {"setting": setting, "language": language, "measure": measure, "value": sure.value}
    return row | {"low": sure.low, "high": sure.high}


def _interval(found: pd.DataFrame, measure: str, setting: str = POOL) -> stats.Interval:
    rows = found[(found["language"] == ALL) & (found["measure"] == measure) & (found["setting"] == setting)]
    return stats.Interval(*rows[["value", "low", "high"]].iloc[0])


def _by_language(found: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure by language of the question (rows) and setting (columns)."""
    rows = found[(found["language"] != ALL) & (found["measure"] == measure)]
    return rows.pivot(index="language", columns="setting", values="value").rename_axis(columns=None)


def _retrieval_table(found: pd.DataFrame) -> pd.DataFrame:
    languages, rows = _by_language(found, "map"), []
    for setting in metrics.SETTINGS:
        sure, worst = (_interval(found, measure, setting) for measure in ("map", "worst language"))
        row = {"setting": setting, "mAP": f"{sure.value:.3f}", "95% interval": _ends(sure)}
        rows.append(row | {"worst language": f"{languages[setting].idxmin()} {worst.value:.3f}"})
    gap = _interval(found, GAP)
    return pd.DataFrame([*rows, {"setting": GAP, "mAP": f"{gap.value:.3f}", "95% interval": _ends(gap)}]).fillna("")


def _bias_table(found: pd.DataFrame) -> pd.DataFrame:
    measured = found.loc[(found["setting"] == POOL) & (found["language"] == ALL), "measure"].tolist()
    by_chance = found.loc[found["setting"] == "by chance", "measure"].tolist()
    rows = []
    for measure, label in bias_views.LABELS.items():
        if measure in measured and measure != "map":
            sure = _interval(found, measure)
            chance = f"{_interval(found, measure, 'by chance').value:.3f}" if measure in by_chance else ""
            form = MEASURES[measure].form
            row = {"measure": label, "value": f"{sure.value:{form}}", "95% interval": _ends(sure, form)}
            rows.append(row | {"by chance": chance})
    return pd.DataFrame(rows)


def _language_table(found: pd.DataFrame) -> pd.DataFrame:
    languages, shares = _by_language(found, "map"), _by_language(found, "own_share")
    table = languages[list(metrics.SETTINGS)].add_suffix(" mAP")
    table["own share of top 10"], table["share of the pool"] = shares[POOL], shares["by chance"]
    return table.map("{:.3f}".format).rename_axis("language").reset_index()


def _vector_table(found: pd.DataFrame) -> pd.DataFrame:
    rows = found[found["setting"].isin(VECTORS.values()) & found["measure"].isin(list(PROBES))]
    wide = rows.pivot(index="measure", columns="setting", values="value")
    shown = wide.loc[list(PROBES), list(VECTORS.values())].map(lambda value: "" if np.isnan(value) else f"{value:.3f}")
    shown.columns = ["as they are", "centred", "by chance"]
    return shown.rename(index=PROBES).rename_axis("measure", columns=None).reset_index()


def _ends(sure: stats.Interval, form: str = ".3f") -> str:
    return "" if np.isnan(sure.low) else f"{sure.low:{form}} to {sure.high:{form}}"


def aligned(table: pd.DataFrame) -> str:
    """Columns between tabs, each padded to one width: they line up in a terminal, and paste into a spreadsheet."""
    columns = [[str(name), *table[name].astype(str)] for name in table]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return "\n".join("\t".join(line).rstrip(" ") for line in zip(*padded, strict=True))
