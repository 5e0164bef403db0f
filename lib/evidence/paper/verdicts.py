"""The rules by which the paper's claims are judged, each the docstring of the function that follows it.

Verdicts: reproduced, partly, not reproduced, not run here. They hold for one encoder. Claims on effects are judged on
hybrid batches after training on a set that is foreign to both benchmarks, as in the paper; beside them stands the swap
protocol, trained on one benchmark and scored on the other, which decides where no foreign set was trained on.
"""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ...base.config import Run
from ...data import catalog as data
from ...evaluation.metrics import SETTINGS
from ...runs import names
from .. import effects, selection, shift, stats, tables
from ..selection import BENCHMARKS, FOREIGN

REPRODUCED, PARTLY, NOT, NOT_RUN = VERDICTS = ("reproduced", "partly", "not reproduced", "not run here")
SUBSTANTIAL = 0.10  # fixed before the runs: the lower end of the interval of the relative reduction
NOT_TRAINED = "hybrid and what it is compared with were not trained on one set and scored on another benchmark"
NOT_SCORED = "XQuAD-R or MLQA-R is not scored in this run"
Verdict = tuple[str, str, str]  # verdict, reason, numbers


@dataclass(frozen=True)
class Evidence:
    """The tables that verdicts are computed from, of all encoders or of one (see `of`)."""

    run: Run
    metrics: pd.DataFrame
    log: pd.DataFrame
    effects: pd.DataFrame
    shift: pd.DataFrame
    overlap: pd.DataFrame
    encoder: str = ""

    def of(self, encoder: str) -> "Evidence":
        """The evidence on one encoder; what training and test sets share is the same for all."""
        parts = {name: getattr(self, name) for name in ("metrics", "log", "effects", "shift")}
        return replace(self, encoder=encoder, **{k: part[part["encoder"] == encoder] for k, part in parts.items()})

    def comparisons(
        self, metric: str, baselines: tuple[str, ...], setting: str = "multilingual", apart: bool = False
    ) -> pd.DataFrame:
        """Hybrid against the baselines on both benchmarks, after all trainings on another set than the one scored.

        Over all languages; or ``apart``: over those that the training set has and those that it lacks, if it does.
        """
        rows = self.effects[(self.effects["metric"] == metric) & (self.effects["setting"] == setting)]
        rows = rows[(rows["strategy"] == effects.hybrid(self.run)) & rows["train"].isin([*BENCHMARKS, *FOREIGN])]
        rows = rows[rows["baseline"].isin(baselines) & rows["dataset"].isin(BENCHMARKS)]
        rows = rows[rows["train"] != rows["dataset"]]
        whole = rows["languages"] == effects.ALL
        parted = rows.groupby(["train", "dataset", "baseline"])["languages"].transform("nunique") > 1
        return rows[whole != parted] if apart else rows[whole]

    def provisional(self, shifted: bool) -> str:
        """How many seeds a verdict rests on if they are fewer than five: that on the question, or on the claims."""
        claims, _ = selection.judged_on(self.comparisons("map", ("x-x-mono", "x-y")))
        found = (shift.answer(self.shift) if shifted else claims)["seeds"].min()
        return f" (provisional: {found:g} of {effects.ENOUGH_SEEDS} seeds)" if found < effects.ENOUGH_SEEDS else ""


def batches(evidence: Evidence) -> Verdict:
    """Reproduced if, in every hybrid training, each batch holds the languages of its kind, and the share of monolingual
    batches over all of them is compatible with alpha (binomial test, 1%)."""
    from scipy.stats import binomtest  # half a second to import

    log = evidence.log[evidence.log["strategy"] == "hybrid"]
    if not len(log):
        return NOT_RUN, "no hybrid training whose batches are logged", ""
    kinds_hold = not selection.broken(log)
    parts, fits = [], True
    for alpha, steps in log.groupby("alpha"):
        mono = int((steps["kind"] == "mono").sum())
        fits &= bool(binomtest(mono, len(steps), alpha).pvalue > 0.01)
        parts.append(f"alpha {alpha:g}: {mono} of {len(steps)} batches monolingual ({mono / len(steps):.3f})")
    verdict = REPRODUCED if kinds_hold and fits else NOT
    return verdict, "every batch is of its kind" if kinds_hold else "a batch breaks its kind", "; ".join(parts)


def coverage(evidence: Evidence) -> Verdict:
    """Reproduced if all three sets are scored on their full pools; partly if MIRACL is not, or on a small pool."""
    present = {name: name in set(evidence.metrics["dataset"]) for name in (*BENCHMARKS, "miracl-dev", "miracl-mini")}
    numbers = ", ".join(name for name, there in present.items() if there)
    if not all(present[name] for name in BENCHMARKS):
        return NOT_RUN, NOT_SCORED, numbers
    if present["miracl-dev"]:
        return REPRODUCED, "all three are scored", numbers
    if present["miracl-mini"]:
        return PARTLY, "MIRACL on a small pool of its passages only", numbers
    return PARTLY, "MIRACL is not scored in this run", numbers


def parallel_data(evidence: Evidence) -> Verdict:
    """Reproduced if the files hold 11 and 7 languages, and every question exists in at least two of them."""
    languages, fewest, numbers = [], [], []
    for name in BENCHMARKS:
        if name not in set(evidence.metrics["dataset"]):
            return NOT_RUN, f"{name} is not in this run", ""
        chosen = data.outline(name, evidence.run.config.candidates)
        asked = selection.languages_of_questions(chosen)
        languages.append(len(chosen.languages))
        fewest.append(min(asked.index))
        said = ", ".join(f"{n}: {count}" for n, count in asked.items())
        numbers.append(f"{name}: {languages[-1]} languages, questions in {said}")
    verdict = REPRODUCED if languages == [11, 7] and min(fewest) >= 2 else NOT
    return verdict, "counted in the files; MLQA-R is parallel in 2 to 4 languages only", "; ".join(numbers)


def separate(evidence: Evidence) -> Verdict:
    """Reproduced for our training sets if no id, question or answer sentence of a scored set is in training, by exact
    text; partly if only near copies are. The paper's own training data cannot be checked."""
    return _leaks(evidence, ("question id", "question", "answer sentence"))


def unseen(evidence: Evidence) -> Verdict:
    """Reproduced for our training sets if, besides ids, questions and answer sentences, no paragraph and no article
    or page of a scored set is in training; partly if only near copies are."""
    return _leaks(evidence, ("question id", "group", "question", "answer sentence", "paragraph"))


def reported(evidence: Evidence) -> Verdict:
    """Reproduced if mAP of both benchmarks stands in the tables, in all three settings."""
    rows = evidence.metrics[evidence.metrics["metric"] == "map"]
    settings = {name: rows.loc[rows["dataset"] == name, "setting"].nunique() for name in BENCHMARKS}
    numbers = ", ".join(f"{name}: {count} settings" for name, count in settings.items())
    if min(settings.values()) < 3:
        return NOT_RUN, NOT_SCORED, numbers
    return REPRODUCED, "tables by language are published", numbers


def settings(evidence: Evidence) -> Verdict:
    """Reproduced if 110 and 42 cross-lingual, 11 and 7 monolingual settings were scored."""
    languages = tables.read(evidence.run, "metrics_by_language.csv.bz2")
    rows = languages[languages["metric"] == "map"]
    pairs = rows.drop_duplicates(["dataset", "setting", "query_language", "passage_language"])
    pairs = pairs.value_counts(["dataset", "setting"])
    wanted = {("xquad-r", "monolingual"): 11, ("xquad-r", "cross-lingual"): 110}
    wanted |= {("mlqa-r", "monolingual"): 7, ("mlqa-r", "cross-lingual"): 42}
    found = {key: int(pairs.get(key, 0)) for key in wanted}
    numbers = ", ".join(f"{dataset} {setting}: {count}" for (dataset, setting), count in found.items())
    if not all(found.values()):
        return NOT_RUN, NOT_SCORED, numbers
    return (REPRODUCED if found == wanted else NOT), "counted in the tables", numbers


def best_multilingual(evidence: Evidence) -> Verdict:
    """Each comparison with x-x-mono and x-y on each benchmark is better or worse (p below 5%, Holm over the four),
    equivalent (its 95% interval inside .01 mAP) or open. Reproduced: all four better. Partly: more better than worse.
    Else not reproduced."""
    return _best(evidence.comparisons("map", ("x-x-mono", "x-y")), wanted=4)


def best_with_both_encoders(evidence: Evidence) -> Verdict:
    """Judged only for XLM-R and LaBSE, each by claim 8's rule over all three settings; else not run here."""
    rows = pd.concat([evidence.comparisons("map", ("x-x-mono", "x-y"), setting) for setting in SETTINGS])
    verdict, reason, numbers = _best(rows, wanted=12)
    if evidence.encoder in ("xlm-r", "labse"):
        one = f"one of the two encoders, {evidence.encoder}: {reason}"
        return PARTLY if verdict == REPRODUCED else verdict, one, numbers
    other = f"; {evidence.encoder} did: {verdict} by the same rule" if verdict != NOT_RUN else ""
    return NOT_RUN, f"XLM-R and LaBSE did not run{other}", numbers


def less_bias(evidence: Evidence) -> Verdict:
    """Substantially: the lower end of the interval of the relative reduction of rank distance against x-x-mono is above
    10%. Reproduced: on both benchmarks. Partly: on one, or the reduction is above 0 on both. Else not reproduced."""
    rows, beside = selection.judged_on(evidence.comparisons("rank_distance", ("x-x-mono",)))
    if not len(rows):
        return NOT_RUN, NOT_TRAINED, ""
    numbers = "; ".join(
        f"{r.train} -> {r.dataset}: lower by {r.relative:.1%} [{r.relative_low:.1%}, {r.relative_high:.1%}]"
        for r in pd.concat([rows, beside]).itertuples()
    )
    substantial, real = rows["relative_low"] > SUBSTANTIAL, rows["relative_low"] > 0
    swapped = f"; swap protocol: {(beside['relative_low'] > SUBSTANTIAL).sum()} of {len(beside)}" * (len(beside) > 0)
    if substantial.all() and len(rows) == 2:
        return REPRODUCED, f"substantial on both benchmarks{swapped}", numbers
    if substantial.any() or real.all():
        return PARTLY, f"a reduction, but not above 10% everywhere{swapped}", numbers
    return NOT, f"no reduction that its interval bears out{swapped}", numbers


def zero_shot(evidence: Evidence) -> Verdict:
    """Multilingual mAP of hybrid against no fine-tuning, x-x-mono and x-y, on each benchmark, after training on a
    foreign set and on the other benchmark, whose absent languages are apart; by claim 8's rule, each training a
    family. Reproduced: better in all. Partly: more better than worse. Else not reproduced. Beside them what it costs
    within one language, against no fine-tuning."""
    rows = evidence.comparisons("map", ("none", "x-x-mono", "x-y"), apart=True)
    if not len(rows):
        return NOT_RUN, NOT_TRAINED, ""
    swapped = rows["train"].isin(BENCHMARKS)
    foreign = selection.judged_on(rows[~swapped])[0]
    words = [*_words(foreign), *_words(rows[swapped])]
    # Nine comparisons of the swap protocol: MLQA-R lacks four of XQuAD-R's languages. mMARCO lacks some of both.
    wanted = 9 + (12 if "mmarco" in set(foreign["train"]) else 6) if len(foreign) else 9
    cost = _numbers(evidence.comparisons("map", ("none",), "monolingual", apart=True))
    numbers = "; ".join(part for part in (_numbers(pd.concat([foreign, rows[swapped]])), cost) if part)
    return *_counted(words, wanted), numbers


def no_worse_than_the_specialist(evidence: Evidence) -> Verdict:
    """Non-inferiority, another test than being best: against x-x-mono in the monolingual and x-y in the cross-lingual
    setting, the interval lies above -.01 mAP. Reproduced: in all four. Partly: in some. Not reproduced: in none."""
    specialists = (("x-x-mono", "monolingual"), ("x-y", "cross-lingual"))
    rows, beside = selection.judged_on(pd.concat([evidence.comparisons("map", (name,), s) for name, s in specialists]))
    if not len(rows):
        return NOT_RUN, NOT_TRAINED, ""
    holds = rows["low"] > -effects.MARGIN
    verdict = REPRODUCED if holds.sum() == 4 else PARTLY if holds.any() else NOT
    reason = f"{int(holds.sum())} of {len(rows)} comparisons are no worse than -.01"
    if len(beside):
        reason += f"; swap protocol: {int((beside['low'] > -effects.MARGIN).sum())} of {len(beside)}"
    return verdict, reason, _numbers(pd.concat([rows, beside]))


def more_robust(evidence: Evidence) -> Verdict:
    """The research question, judged by D: what the farther training set costs hybrid on MLQA-R less what it costs
    the baseline, is more robust, less robust, equivalent or open, Holm over x-x-mono, x-y and en-en. Yes: more
    robust than all. Mixed: than some. Else inconclusive if one is open, and no if none is."""
    rows = shift.answer(evidence.shift)
    verdict = shift.verdict(rows)
    if verdict == "not run":
        return NOT_RUN, "no strategy was trained on two sets at different distances and scored on MLQA-R", ""
    numbers = "; ".join(
        f"{r.nearer} and {r.farther} -> {r.test}, against {r.baseline}: D = {_interval(r.value, r)}"
        for r in rows.itertuples()
    )
    asked = rows[rows["baseline"].isin(shift.JUDGED)]
    return verdict, "; ".join(f"{r.baseline}: {r.verdict}" for r in asked.itertuples()), numbers


def _best(rows: pd.DataFrame, wanted: int) -> Verdict:
    """The verdict on comparisons that a claim says hybrid wins, and beside it the same of the swap protocol."""
    rows, beside = selection.judged_on(rows)
    if not len(rows):
        return NOT_RUN, NOT_TRAINED, ""
    verdict, reason = _counted(_words(rows), wanted)
    if len(beside):
        reason += f"; swap protocol: {_counted(_words(beside), wanted)[1]}"
    return verdict, reason, _numbers(pd.concat([rows, beside]))


def _words(rows: pd.DataFrame) -> list[str]:
    """The word of each comparison, with Holm's correction over all of them."""
    found = [stats.Interval(r.difference, r.low, r.high, r.p) for r in rows.itertuples()]
    return stats.family(found, effects.MARGIN)


def _counted(words: list[str], wanted: int) -> tuple[str, str]:
    """The verdict on comparisons, a worse one counting as much as a better one; and how many came out how."""
    counts = {word: words.count(word) for word in ("better", "equivalent", "open", "worse") if word in words}
    if len(words) < wanted:
        counts["not run"] = wanted - len(words)
    better, worse = words.count("better"), words.count("worse")
    verdict = REPRODUCED if better == wanted else PARTLY if better > worse else NOT
    return verdict, f"of {wanted} comparisons: " + ", ".join(f"{count} {word}" for word, count in counts.items())


def _numbers(rows: pd.DataFrame) -> str:
    return "; ".join(
        f"{r.train} -> {r.dataset}, {r.setting}"
        + (f", languages {r.languages}" if r.languages != effects.ALL else "")
        + f", against {r.baseline}: {_interval(r.difference, r)}"
        for r in rows.itertuples()
    )


def _interval(value: float, row: Any) -> str:
    return f"{value:+.3f} [{row.low:+.3f}, {row.high:+.3f}], {names.seeds(row.seeds)}"


def _leaks(evidence: Evidence, units: tuple[str, ...]) -> Verdict:
    rows = evidence.overlap[evidence.overlap["unit"].isin(units)]
    if not len(rows):
        return NOT_RUN, "no overlap table in this run", ""
    large = {name for name in evidence.metrics["dataset"] if name.startswith("miracl")}
    unchecked = sorted(large - set(evidence.overlap["dataset"]))
    without = f"; {names.joined(unchecked)} not checked" if unchecked else ""
    found = rows[rows["found"] > 0]
    exact = found[found["match"] == "exact"]
    numbers = (
        "; ".join(f"{r.train} -> {r.dataset}, {r.unit}, {r.match}: {r.found} of {r.of}" for r in found.itertuples())
        or f"0 of {int(rows['of'].sum()):,} checks"
    )
    if not len(found):
        return REPRODUCED, f"no overlap found{without}", numbers
    worst = exact if len(exact) else found
    pairs = dict.fromkeys(zip(worst["train"], worst["dataset"], strict=True))
    between = names.joined(f"within {t}" if d == f"{t}-heldout" else f"between {t} and {d}" for t, d in pairs)
    verdict, copies = (NOT, "exact copies") if len(exact) else (PARTLY, "no exact copy; near copies")
    return verdict, f"{copies} {between}{without}", numbers
