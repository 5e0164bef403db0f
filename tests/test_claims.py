"""Verdicts follow from the numbers by their rules; the ledger puts the paper's cells beside ours."""

import shutil

import numpy as np
import pandas as pd
import pytest

from lib.base import config, paths
from lib.data import catalog as data
from lib.evidence import effects, shift, tables
from lib.evidence.paper import claims, ledger, verdicts
from lib.evidence.paper.verdicts import NOT, NOT_RUN, PARTLY, REPRODUCED

TASKS = (("mlqa-r", "xquad-r"), ("xquad-r", "mlqa-r"))
FOREIGN = (("parallel-docs", "mlqa-r"), ("parallel-docs", "xquad-r"))
ENCODER = "e5-small-q4"


def effect(train, dataset, baseline, difference, width=0.004, setting="multilingual", metric="map", **more) -> dict:
    row = {"encoder": ENCODER, "train": train, "dataset": dataset, "setting": setting, "metric": metric}
    row |= {"languages": effects.ALL, "p": 0.001 if abs(difference) > width else 0.5}
    row |= {"strategy": "hybrid-0.5", "baseline": baseline, "difference": difference, "seeds": 5, "questions": 100}
    return row | {"low": difference - width, "high": difference + width} | more


def evidence(rows=(), shifts=(), overlap=(), metrics=None, log=None, profile="full") -> verdicts.Evidence:
    return verdicts.Evidence(
        config.load(profile),
        pd.DataFrame(columns=["encoder", "dataset", "metric", "setting"]) if metrics is None else metrics,
        pd.DataFrame(columns=["encoder", "strategy", "alpha", "kind", "languages"]) if log is None else log,
        pd.DataFrame(list(rows), columns=effects.COLUMNS),
        pd.DataFrame(list(shifts), columns=shift.COLUMNS),
        pd.DataFrame(list(overlap), columns=["train", "dataset", "unit", "match", "found", "of", "example"]),
        ENCODER,
    )


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.02, 0.01, 0.03, 0.02], REPRODUCED),
        ([0.02, 0.00, 0.03, 0.02], PARTLY),
        ([0.02, 0.01], PARTLY),  # the other benchmark did not run
        ([0.02, -0.02, 0.03, 0.02], PARTLY),
        ([0.02, -0.02, 0.03, -0.02], NOT),  # a comparison lost counts as much as one won
        ([0.00, 0.001, -0.001, 0.002], NOT),
        ([-0.02, -0.02, -0.03, -0.02], NOT),
        ([], NOT_RUN),
    ],
)
@pytest.mark.parametrize("tasks", [TASKS, FOREIGN])
def test_best_means_better_than_both_on_both(tasks, differences, verdict):
    pairs = [(task, b) for task in tasks for b in ("x-x-mono", "x-y")]
    rows = [effect(*task, b, d) for (task, b), d in zip(pairs, differences, strict=False)]
    found, _, numbers = verdicts.best_multilingual(evidence(rows))
    assert found == verdict
    assert not rows or "[" in numbers


def test_the_correction_for_several_comparisons_enters_the_verdict():
    """Of four comparisons with p = .02 none stands."""
    rows = [effect(*task, b, 0.02, p=0.02) for task in FOREIGN for b in ("x-x-mono", "x-y")]
    assert verdicts.best_multilingual(evidence(rows))[:2] == (NOT, "of 4 comparisons: 4 open")
    rows[0]["p"] = 0.001
    assert verdicts.best_multilingual(evidence(rows))[:2] == (PARTLY, "of 4 comparisons: 1 better, 3 open")


def test_a_foreign_training_set_decides_and_the_swap_protocol_stands_beside():
    rows = [effect(*task, b, d) for task in FOREIGN for b, d in (("x-x-mono", 0.02), ("x-y", -0.02))]
    swapped = [effect(*task, b, 0.02) for task in TASKS for b in ("x-x-mono", "x-y")]
    verdict, reason, numbers = verdicts.best_multilingual(evidence(swapped + rows))
    assert (verdict, reason) == (
        NOT, "of 4 comparisons: 2 better, 2 worse; swap protocol: of 4 comparisons: 4 better",
    )  # fmt: skip
    assert numbers.count("parallel-docs") == 4 and numbers.count("; ") == 7


def test_each_encoder_is_judged_by_itself(monkeypatch):
    one = [effect(*task, b, 0.02) for task in FOREIGN for b in ("x-x-mono", "x-y")]
    other = [row | {"encoder": "use-m", "difference": -0.02, "low": -0.024, "high": -0.016} for row in one]
    monkeypatch.setattr(claims, "JUDGES", {"8": claims.JUDGES["8"]})
    table = claims.table(evidence(one + other)).set_index("encoder")
    assert table["verdict"].to_dict() == {ENCODER: REPRODUCED, "use-m": NOT}
    assert list(claims.table(evidence(one))) == claims.COLUMNS


def test_a_verdict_that_is_not_the_first_one_says_so_and_why(monkeypatch):
    monkeypatch.setattr(claims, "JUDGES", {"8": claims.JUDGES["8"]})
    rows = [effect(*task, b, d) for task in FOREIGN for b, d in (("x-x-mono", 0.02), ("x-y", -0.02))]
    (changed,) = claims.table(evidence(rows)).itertuples()
    assert (changed.verdict, changed.first) == (NOT, PARTLY) and "documentation decides now" in changed.changed
    same = [effect(*task, b, d) for task in FOREIGN for b, d in (("x-x-mono", 0.02), ("x-y", 0.0))]
    (kept,) = claims.table(evidence(same)).itertuples()
    assert (kept.verdict, kept.first, kept.changed) == (PARTLY, "", "")


def test_after_training_on_the_papers_data_the_claims_are_judged_on_that():
    rows = [effect("mmarco", dataset, b, 0.02) for _, dataset in TASKS for b in ("x-x-mono", "x-y")]
    other = [effect(*task, b, -0.02) for task in FOREIGN for b in ("x-x-mono", "x-y")]
    assert verdicts.best_multilingual(evidence(rows))[:2] == (REPRODUCED, "of 4 comparisons: 4 better")
    assert verdicts.best_multilingual(evidence(rows + other))[0] == REPRODUCED
    assert verdicts.best_multilingual(evidence(other))[0] == NOT
    parted = [
        effect("mmarco", dataset, b, 0.2) | {"languages": languages}
        for _, dataset in TASKS
        for b in ("none", "x-x-mono", "x-y")
        for languages in (effects.ALL, effects.SEEN, effects.UNSEEN)
    ]
    reason = "of 21 comparisons: 12 better, 9 not run"
    assert verdicts.zero_shot(evidence(parted))[:2] == (PARTLY, reason)


def test_best_and_no_worse_are_two_tests():
    """Level with each specialist: not best, and no worse."""
    rows = [effect(*task, "x-x-mono", 0.0, setting="monolingual") for task in TASKS]
    rows += [effect(*task, "x-y", -0.002, setting="cross-lingual") for task in TASKS]
    rows += [effect(*task, b, 0.0) for task in TASKS for b in ("x-x-mono", "x-y")]
    assert verdicts.best_multilingual(evidence(rows))[0] == NOT
    assert verdicts.no_worse_than_the_specialist(evidence(rows))[0] == REPRODUCED
    rows[0]["low"] = -0.02
    assert verdicts.no_worse_than_the_specialist(evidence(rows))[0] == PARTLY


@pytest.mark.parametrize(
    ("lows", "verdict"),
    [((0.12, 0.2), REPRODUCED), ((0.12, 0.05), PARTLY), ((0.02, 0.05), PARTLY), ((-0.1, 0.05), NOT)],
)
def test_substantially_is_above_ten_percent_with_the_lower_end(lows, verdict):
    rows = [
        effect(*task, "x-x-mono", -50, metric="rank_distance", relative=low + 0.05, relative_low=low, relative_high=0.4)
        for task, low in zip(TASKS, lows, strict=True)
    ]
    assert verdicts.less_bias(evidence(rows))[0] == verdict


def test_claims_on_encoders_that_did_not_run_say_so_and_name_the_one_that_did():
    settings = ("monolingual", "cross-lingual", "multilingual")
    rows = [effect(*task, b, 0.02, setting=s) for task in TASKS for b in ("x-x-mono", "x-y") for s in settings]
    verdict, reason, _ = verdicts.best_with_both_encoders(evidence(rows))
    assert verdict == NOT_RUN and "e5-small-q4 did: reproduced" in reason
    assert verdicts.best_with_both_encoders(evidence())[1] == "XLM-R and LaBSE did not run"


def test_zero_shot_is_judged_for_languages_absent_from_training_too():
    groups = [(TASKS[1], effects.ALL), *((TASKS[0], name) for name in (effects.ALL, effects.SEEN, effects.UNSEEN))]
    rows = [
        effect(*task, baseline, 0.2) | {"languages": languages}
        for task, languages in groups
        for baseline in ("none", "x-x-mono", "x-y")
    ]
    rows.append(effect(*TASKS[1], "none", -0.03, setting="monolingual"))
    verdict, reason, numbers = verdicts.zero_shot(evidence(rows))
    assert (verdict, reason) == (
        REPRODUCED,
        "of 9 comparisons: 9 better",
    )  # those over all languages do not count twice
    assert numbers.endswith("xquad-r -> mlqa-r, monolingual, against none: -0.030 [-0.034, -0.026], 5 seeds")
    rows[-2] = effect(*TASKS[0], "x-y", 0.0) | {"languages": effects.UNSEEN}
    assert verdicts.zero_shot(evidence(rows))[:2] == (PARTLY, "of 9 comparisons: 8 better, 1 equivalent")
    assert verdicts.zero_shot(evidence(rows[:3]))[:2] == (PARTLY, "of 9 comparisons: 3 better, 6 not run")


@pytest.mark.parametrize(
    ("found", "match", "verdict"), [(0, "exact", REPRODUCED), (2, "near", PARTLY), (1, "exact", NOT)]
)
def test_leaks(found, match, verdict):
    rows = [("xquad-r", "mlqa-r", "question", match, found, 100, "")]
    judged, reason, _ = verdicts.separate(evidence(overlap=rows))
    assert judged == verdict and ("copies between xquad-r and mlqa-r" in reason) == (found > 0)
    within = [("a", "a-heldout", "question", match, found, 100, "")]
    assert ("copies within a" in verdicts.separate(evidence(overlap=within))[1]) == (found > 0)
    assert verdicts.unseen(evidence(overlap=[("a", "b", "paragraph", match, found, 100, "")]))[0] == verdict


@pytest.mark.parametrize(("of", "said"), [("miracl-mini", ""), ("mlqa-r", "; miracl-mini not checked")])
def test_a_set_of_miracl_that_was_not_compared_is_named(of, said):
    rows = [("xquad-r", of, "question", "exact", 0, 100, "")]
    with_miracl = evidence(overlap=rows, metrics=pd.DataFrame({"dataset": ["xquad-r", "miracl-mini"]}))
    assert verdicts.separate(with_miracl)[1] == f"no overlap found{said}"
    assert verdicts.separate(evidence())[0] == NOT_RUN


@pytest.mark.parametrize(
    ("kinds", "languages", "verdict"),
    [
        (["mono", "cross"] * 40, ["en>en:4", "en>de:2 de>ar:2"] * 40, REPRODUCED),
        (["mono", "cross"] * 40, ["en>en:4", "en>en:2 de>ar:2"] * 40, NOT),  # a same-language pair in a cross batch
        (["mono", "cross"] * 40, ["en>en:2 de>de:2", "en>de:4"] * 40, NOT),  # two languages in a mono batch
        (["mono"] * 80, ["en>en:4"] * 80, NOT),  # alpha is .5
    ],
)
def test_batches_are_judged_by_their_log(kinds, languages, verdict):
    log = pd.DataFrame({"strategy": "hybrid", "alpha": 0.5, "kind": kinds, "languages": languages})
    assert verdicts.batches(evidence(log=log))[0] == verdict


def test_coverage_names_a_small_pool():
    def scored(*names: str) -> pd.DataFrame:
        return pd.DataFrame({"dataset": names, "metric": "map", "setting": "monolingual"})

    assert verdicts.coverage(evidence(metrics=scored("xquad-r", "mlqa-r", "miracl-mini")))[0] == PARTLY
    assert verdicts.coverage(evidence(metrics=scored("xquad-r", "mlqa-r", "miracl-dev")))[0] == REPRODUCED
    assert verdicts.coverage(evidence(metrics=scored("xquad-r")))[0] == NOT_RUN


@pytest.mark.parametrize(
    ("counts", "judge", "verdict"),
    [
        ({"xquad-r": 3, "mlqa-r": 3}, verdicts.reported, REPRODUCED),
        ({"xquad-r": 3, "mlqa-r": 2}, verdicts.reported, NOT_RUN),
        ({"xquad-r": 3}, verdicts.reported, NOT_RUN),
    ],
)
def test_what_is_reported_is_counted_in_the_tables(counts, judge, verdict):
    names = ("monolingual", "cross-lingual", "multilingual")
    rows = [(dataset, "map", setting) for dataset, count in counts.items() for setting in names[:count]]
    found = evidence(metrics=pd.DataFrame(rows, columns=["dataset", "metric", "setting"]))
    assert judge(found)[0] == verdict


@pytest.mark.parametrize(
    ("languages", "verdict"),
    [((11, 7), REPRODUCED), ((11, 6), NOT), ((11, 0), NOT_RUN)],
)
def test_retrieval_settings_are_counted_in_the_table(own_folders, languages, verdict):
    run, rows = config.load("full"), []
    for dataset, count in zip(("xquad-r", "mlqa-r"), languages, strict=True):
        for query in range(count):
            for passage in range(count):
                setting = "monolingual" if query == passage else "cross-lingual"
                rows += [
                    ("e5-small-q4", "none", "none", None, None, dataset, dataset, setting, query, passage, "map", .5, 1)
                ] * 2
    columns = [*tables.KEYS, "query_language", "passage_language", *tables.VALUES]
    tables.save(run, "metrics_by_language.csv.bz2", pd.DataFrame(rows, columns=columns))
    assert verdicts.settings(evidence())[0] == verdict


@pytest.mark.real_data
def test_the_languages_of_both_sets_are_counted_in_their_files(real_data, monkeypatch):
    scored = evidence(metrics=pd.DataFrame({"dataset": ["xquad-r", "mlqa-r"]}))
    verdict, _, numbers = verdicts.parallel_data(scored)
    assert verdict == REPRODUCED
    assert numbers == (
        "xquad-r: 11 languages, questions in 11: 1190; mlqa-r: 7 languages, questions in 2: 65, 3: 263, 4: 820"
    )
    whole = data.outline
    short = {name: whole(name).only(np.arange(len(whole(name).questions)) < 5, name) for name in ("xquad-r", "mlqa-r")}
    for part in short.values():
        part.query_rows[0, 1:] = -1  # a question in one language alone
    monkeypatch.setattr(data, "outline", lambda name, *_: short[name])
    assert verdicts.parallel_data(scored)[0] == NOT
    assert verdicts.parallel_data(evidence())[0] == NOT_RUN


@pytest.mark.real_data
def test_one_number_changed_in_the_published_tables_changes_the_verdict_that_rests_on_it(
    real_data, tmp_path, monkeypatch
):
    """From the tables of `full` as published: no verdict is written by hand."""
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    shutil.copytree(paths.ROOT / "results" / "full" / "published", tmp_path / "full")
    run = config.load("full").of_first()
    names = ("effects.csv", "domain_shift.csv", "overlap.csv", "metrics.csv", "training_log.csv.bz2")
    read = {name.split(".")[0]: tables.read(run, name) for name in names}

    def judged(**changed: pd.DataFrame) -> dict[str, str]:
        found = read | changed
        parts = (found[name] for name in ("metrics", "training_log", "effects", "domain_shift", "overlap"))
        return claims.table(verdicts.Evidence(run, *parts)).set_index("id")["verdict"].to_dict()

    def moved(name: str, rows: str, column: str, value: float) -> set[str]:
        """The claims whose verdict another number in one place changes."""
        table = read[name].copy()
        place = table.query(rows).index
        assert len(place) == 1
        table.loc[place, column] = value
        after = judged(**{name: table})
        return {id_ for id_, verdict in before.items() if after[id_] != verdict}

    before = judged()
    published = tables.read(run, "claims.csv").set_index("id")["verdict"].to_dict()
    assert before == published
    far = "train == 'parallel-docs' and baseline == 'x-x-mono' and strategy == 'hybrid-0.5' and languages == 'all'"
    assert moved("effects", f"{far} and dataset == 'mlqa-r' and metric == 'rank_distance'", "relative_low", -0.01) == {
        "10"
    }
    better = read["effects"].copy()
    against = better.query("baseline in ['none', 'x-x-mono', 'x-y'] and strategy == 'hybrid-0.5'")
    better.loc[against.index, ["difference", "low", "p"]] = [0.02, 0.001, 1e-6]
    assert judged(effects=better) == before | dict.fromkeys(["8", "11", "S"], REPRODUCED)
    log = read["training_log"].copy()
    log.loc[log.query("strategy == 'hybrid' and kind == 'mono'").index[0], "languages"] = "ar>de:32"
    assert judged(training_log=log)["1"] == NOT
    first = read["overlap"].query("unit == 'question' and match == 'exact'").index[0]
    assert {*moved("overlap", f"index == {first}", "found", 3)} == {"4", "5"}
    shifted = read["domain_shift"].copy()
    asked = shifted["quantity"] == shift.DIFFERENCE
    shifted.loc[asked, "verdict"] = "more robust"
    assert judged(domain_shift=shifted) == before | {"RQ": "yes"}


def test_every_claim_of_the_list_has_a_judge_and_every_judge_a_rule():
    listed = pd.read_csv(paths.PUBLISHED / "claims.csv", dtype=str)["id"]
    assert set(listed) <= set(claims.JUDGES)
    assert all("eproduced" in judge.__doc__ or "udged" in judge.__doc__ or "rule" in judge.__doc__
               for judge, _ in claims.JUDGES.values())  # fmt: skip


@pytest.mark.parametrize(("seeds", "provisional"), [(1, True), (4, True), (5, False)])
def test_a_verdict_on_an_effect_is_provisional_below_five_seeds(seeds, provisional, monkeypatch):
    rows = [effect(*task, b, 0.02) | {"seeds": seeds} for task in TASKS for b in ("x-x-mono", "x-y")]
    monkeypatch.setattr(claims, "JUDGES", {"8": claims.JUDGES["8"]})
    (reason,) = claims.table(evidence(rows))["reason"]
    assert ("provisional" in reason) == provisional


# --- the ledger ---


def by_language(run, values: dict[str, float]) -> None:
    """Our table, with one value for every query language of XQuAD-R after training on MLQA-R."""
    rows = []
    for strategy, value in values.items():
        for language in ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"):
            rows.append(("e5-small-q4", "mlqa-r", strategy, 0.5 if strategy == "hybrid" else np.nan, 0, "xquad-r",
                         "xquad-r", "multilingual", language, "all", "map", value, 10))  # fmt: skip
    columns = [*tables.KEYS, "query_language", "passage_language", *tables.VALUES]
    tables.save(run, "metrics_by_language.csv.bz2", pd.DataFrame(rows, columns=columns))


def test_the_ledger_compares_direction_and_order_with_the_papers(own_folders):
    """Table 3, mean, multilingual: the paper has x-x-mono .5479 < hybrid .5927 and x-y .5934, level."""
    run = config.load("full").of_first()
    by_language(run, {"x-x-mono": 0.50, "x-y": 0.60, "hybrid": 0.601})
    table = ledger.table(run)
    row = table[(table["table"] == 3) & (table["setting"] == "multilingual") & (table["metric"] == "map")]
    mean = row[row["language"] == "mean"].set_index("strategy")
    assert mean["paper"].to_dict() == {"x-x-mono": 0.5479, "x-y": 0.5934, "hybrid": 0.5927}
    assert set(mean["direction"]) == set(mean["order"]) == {ledger.AGREE}
    assert mean.loc["hybrid", "difference"] == pytest.approx(0.601 - 0.5927)
    by_language(run, {"x-x-mono": 0.65, "x-y": 0.60, "hybrid": 0.601})
    table = ledger.table(run)
    mean = table[(table["table"] == 3) & (table["language"] == "mean") & (table["metric"] == "map")]
    mean = mean[mean["setting"] == "multilingual"].set_index("strategy")
    assert mean["direction"].to_dict() == {"x-x-mono": ledger.DIFFER, "x-y": ledger.AGREE, "hybrid": ledger.DIFFER}
    assert set(mean["order"]) == {ledger.DIFFER}


def test_agreement_by_chance_by_hand():
    """Paper: x-x-mono < x-y < hybrid. Of our 6 orders 1 is the paper's; hybrid is above each of the two in 3."""
    row = {"table": 3, "paper_encoder": "xlm-r", "dataset": "xquad-r", "setting": "multilingual", "metric": "map"}
    values = {"x-x-mono": 0.1, "x-y": 0.2, "hybrid": 0.3}
    kept = [
        row | {"language": "en", "strategy": s, "paper": v, "ours": v, "direction": ledger.AGREE}
        for s, v in values.items()
    ]
    gone = [one | {"language": "de", "ours": np.nan, "direction": ledger.NOT_RUN} for one in kept]
    assert ledger.by_chance(pd.DataFrame(kept + gone)) == pytest.approx((1.0, 1 / 6))


def test_every_cell_of_tables_1_to_8_is_in_the_ledger_and_says_if_it_was_not_run(own_folders):
    run = config.load("full").of_first()
    by_language(run, {"x-x-mono": 0.50, "x-y": 0.60, "hybrid": 0.601})
    table = ledger.table(run)
    paper = pd.read_csv(paths.PUBLISHED / "results.csv")
    assert len(table) == paper["table"].between(1, 8).sum()
    mlqa = table[table["dataset"] == "mlqa-r"]
    assert set(mlqa["direction"]) == {ledger.NOT_RUN} and mlqa["ours"].isna().all()
    summary = ledger.summary(table)
    assert summary["of"].sum() == 2 * summary["of groups"].sum()
