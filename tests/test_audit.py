"""The language audit: planted biases are found and said, numbers are those of a cell, nothing is left behind."""

import json

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base import config
from lib.base.errors import UserError
from lib.evaluation import bias, metrics
from lib.interop import audit as command
from lib.interop import exports
from lib.interop import language_audit as audit
from lib.runs import cells, records
from lib.runs import plan as grid

LANGUAGES = synthetic.LANGUAGES
QUESTIONS = 20


def planted(folder, weight: float) -> None:
    """Write an encoder that knows what each of the texts is about and, as much as ``weight``, in which language it is.

    Query and passage n have the vector e_n + weight * e_language, at length 1: with w = weight squared, a question
    scores its answer in its own language 1 + w, other passages of that language w, its translations 1, others 0.
    """
    words = [f"{side}{n}{x}" for side in "qp" for n in range(QUESTIONS) for x in LANGUAGES]
    model = synthetic.encoder(words, QUESTIONS + len(LANGUAGES))
    vectors = np.zeros((len(words) + 1, QUESTIONS + len(LANGUAGES)), np.float32)
    for row, word in enumerate(words, start=1):
        vectors[row, int(word[1:-2])] = 1
        vectors[row, QUESTIONS + LANGUAGES.index(word[-2:])] = weight
    vectors /= np.sqrt(1 + weight**2)
    model[0].embedding.weight.data[:] = model[0].embedding.weight.new_tensor(vectors)
    model.save(str(folder), create_model_card=False)


@pytest.fixture
def own(own_folders):
    """Parallel rows of one's own, and two encoders: one blind to language, one that sees hardly anything else."""
    rows = "".join(json.dumps(row) + "\n" for row in synthetic.rows(QUESTIONS))
    (own_folders / "mine.jsonl").write_text(rows)
    planted(own_folders / "blind", 0)
    planted(own_folders / "biased", 2)
    return own_folders


def value(found: pd.DataFrame, setting: str, measure: str, language: str = "all") -> float:
    rows = found[(found["setting"] == setting) & (found["measure"] == measure) & (found["language"] == language)]
    assert len(rows) == 1
    return rows["value"].item()


def test_an_encoder_blind_to_language_is_said_to_be(own):
    found = audit.audit(str(own / "blind"), str(own / "mine.jsonl"))
    for setting in metrics.SETTINGS:
        assert value(found, setting, "map") == pytest.approx(1)
    assert value(found, "multilingual", "rank_distance") == 2  # three translations, first to third
    assert value(found, "multilingual", "own_first") == pytest.approx(
        1 / 3, abs=1e-6
    )  # the tie goes to one language of three
    assert value(found, "by chance", "own_first") == pytest.approx(1 / 3, abs=1e-6)
    said = audit.verdict(found)
    assert "shows no clear preference" in said and "found as well as" in said


def test_an_encoder_that_prefers_the_language_of_the_question_is_said_to(own):
    found = audit.audit(str(own / "biased"), str(own / "mine.jsonl"))
    assert value(found, "multilingual", "own_first") == 1
    assert value(found, "multilingual", "own_share") == 1  # 20 passages in the language stand before any other
    assert value(found, "by chance", "own_share") == pytest.approx(1 / 3, abs=1e-6)
    assert value(found, "multilingual", "rank_distance") == 21  # the answer, 19 others, then its two translations
    assert value(found, "multilingual", "map") == pytest.approx((1 + 2 / 21 + 3 / 22) / 3, abs=1e-6)
    assert value(found, "cross-lingual", "map") == pytest.approx(1)
    assert value(found, "multilingual", "map", "de") == pytest.approx((1 + 2 / 21 + 3 / 22) / 3, abs=1e-6)
    assert value(found, "vectors", "language_accuracy") == 1
    said = audit.verdict(found)
    assert "biased prefers passages in the language of the question" in said
    assert "100.0% of its first ten passages are in that language, as are 33.3% of the pool" in said
    assert "(difference +0.667 [+0.667, +0.667])" in said
    assert "questions in German fare worst, with a mAP of 0.411" in said  # of three equal ones the first


def mixed(folder, order=lambda rows: rows) -> str:
    """Rows of which one is asked in English and answered in German alone."""
    rows = synthetic.rows(QUESTIONS)
    rows[3] = {"id": "3", "q": {"en": rows[3]["q"]["en"]}, "p": {"de": rows[3]["p"]["de"]}}
    rows[5] = {"id": "5", "q": {"en": rows[5]["q"]["en"]}, "p": {"en": rows[5]["p"]["en"]}}
    path = folder / "mixed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in order(rows)))
    return str(path)


def test_the_gap_sets_each_question_against_itself_in_whatever_order_the_rows_are(own):
    words = [f"{side}{n}{x}" for side in "qp" for n in range(QUESTIONS) for x in LANGUAGES]
    synthetic.encoder(words).save(str(own / "random"), create_model_card=False)
    gaps = []
    for order in (list, lambda rows: rows[::-1], lambda rows: rows[5:] + rows[:5]):
        found = audit.audit(str(own / "random"), mixed(own, order))
        gaps.append(found.loc[found["measure"] == audit.GAP, ["value", "low", "high"]].to_numpy())
    assert np.abs(gaps[0]).min() > 0
    for other in gaps[1:]:
        np.testing.assert_allclose(other, gaps[0], rtol=0, atol=1e-9)
    whole = audit.audit(str(own / "random"), str(own / "mine.jsonl"))
    assert whole.loc[whole["measure"] == audit.GAP, "value"].item() == pytest.approx(
        value(whole, "monolingual", "map") - value(whole, "cross-lingual", "map")
    )


def test_a_language_without_passages_counts_as_none_of_the_pool_too(own):
    rows = synthetic.rows(QUESTIONS)
    for row in rows:
        del row["p"]["zh"]
    (own / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = audit.audit(str(own / "blind"), str(own / "few.jsonl"))
    assert value(found, "by chance", "own_share") == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_rows_that_change_between_two_calls_are_read_again(own):
    path = own / "mine.jsonl"
    before = audit.audit(str(own / "biased"), str(path))
    path.write_text("".join(json.dumps(row) + "\n" for row in synthetic.rows(QUESTIONS, passages=QUESTIONS // 2)))
    after = audit.audit(str(own / "biased"), str(path))
    assert not before["value"].equals(after["value"])


def test_where_it_is_to_be_written_is_tried_first(own, capsys):
    (own / "file").write_text("")
    given = ["--encoder", str(own / "biased"), "--eval", str(own / "mine.jsonl"), "--out", str(own / "file" / "a.csv")]
    assert command.main(given) == 2
    shown = capsys.readouterr()
    assert not shown.out and "it cannot be written" in shown.err and shown.err.count("\n") == 1


def test_the_numbers_are_those_of_a_cell_without_training(own):
    overrides = [f"encoder={own / 'biased'}", f"eval={own / 'mine.jsonl'}", "strategies=[none]", "precision=auto"]
    run = config.load("smoke", overrides)
    cell = grid.plan(run.config)[0]
    record = cells.finish(run, cell)
    ranks = cells.ranks(run, cell).drop(columns="dataset")
    found = audit.audit(str(own / "biased"), str(own / "mine.jsonl"))
    means = metrics.macro(metrics.by_language(metrics.units(ranks)))
    for row in means[means["metric"] == "map"].itertuples():
        assert value(found, row.setting, "map") == pytest.approx(row.value, abs=1e-6)
    for row in bias.measures(ranks).itertuples():
        assert value(found, "multilingual", row.measure) == pytest.approx(row.value, abs=1e-6)
    read = record["vectors"][str(own / "mine.jsonl")]
    for when, setting in audit.VECTORS.items():
        assert {m: value(found, setting, m) for m in read[when]} == pytest.approx(read[when], abs=1e-6)


@pytest.mark.parametrize("name", ["./blind", "blind"])
def test_what_is_set_for_the_encoder_by_its_name_counts(own, monkeypatch, name):
    monkeypatch.chdir(own)
    seen, evaluate = [], cells.evaluate
    monkeypatch.setattr(cells, "evaluate", lambda *given, **more: seen.append(given[2]) or evaluate(*given, **more))
    audit.audit(name, "mine.jsonl", [f"by_encoder={{{name}: {{max_tokens: 8}}}}"])
    audit.audit(name, "mine.jsonl", ["max_tokens=9"])
    assert [chosen.max_tokens for chosen in seen] == [8, 9]


def test_a_set_without_a_question_answered_in_both_ways_is_refused_before_any_work(own):
    rows = [{"id": f"{n}", "q": {"en": f"q{n}en"}, "p": {"en": f"p{n}en"}} for n in range(8)]
    rows += [{"id": f"f{n}", "q": {"de": f"q{n}de"}, "p": {x: f"p{n + 8}{x}" for x in ("en", "zh")}} for n in range(8)]
    (own / "apart.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="no question is answered both in its own language and in another"):
        audit.audit(own / "biased", own / "apart.jsonl")


def test_it_prints_aligned_tables_and_writes_every_number(own, capsys):
    out = own / "tables" / "audit.csv"
    given = ["--encoder", str(own / "biased"), "--eval", str(own / "mine.jsonl"), "--out", str(out)]
    assert command.main(given) == 0
    shown = capsys.readouterr().out
    assert "20 questions, 3 languages, 60 passages" in shown
    tables = [part.splitlines()[1:] for part in shown.split("\n\n")[1:5]]
    for lines in tables:
        assert len({line.count("\t") for line in lines}) == 1  # as a spreadsheet takes it
        assert len({line.index("\t") for line in lines}) == 1  # as it lines up
    found = audit.audit(str(own / "biased"), str(own / "mine.jsonl"))
    pd.testing.assert_frame_equal(pd.read_csv(out), found, atol=1e-6)


def test_it_leaves_no_run_and_no_cell(own):
    audit.audit(str(own / "biased"), str(own / "mine.jsonl"))
    assert not (own / "results").exists()
    assert [path for path in (own / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("preference", "gap", "words"),
    [
        ((0.2, 0.1, 0.3), (0.1, 0.05, 0.15), ("prefers passages in the language", "less well than")),
        ((-0.2, -0.3, -0.1), (-0.1, -0.15, -0.05), ("prefers passages in other languages", "better than")),
        ((0.0, -0.1, 0.1), (0.0, -0.009, 0.009), ("no clear preference", "as well as")),
        ((0.0, -0.1, 0.1), (0.0, -0.02, 0.02), ("no clear preference", "not surely better or worse than")),
    ],
)
def test_the_verdict_goes_by_its_intervals(own, preference, gap, words):
    found = audit.audit(str(own / "blind"), str(own / "mine.jsonl"))
    for measure, numbers in ((audit.PREFERENCE, preference), (audit.GAP, gap)):
        found.loc[found["measure"] == measure, ["value", "low", "high"]] = numbers
    said = audit.verdict(found)
    assert [word for word in words if word not in said] == []
    assert said.count(". ") == 1 and said.endswith(".")  # two sentences


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--eval": "one.jsonl"}, ("one.jsonl", "translations")),
        ({"--eval": "no.jsonl"}, ("no.jsonl: no such file",)),
        ({"--eval": "nothing"}, ("'nothing' does not exist for evaluation",)),
        ({"--encoder": "nothing"}, ("unknown encoder 'nothing'",)),
        ({"--out": "."}, ("--out .: it is a folder",)),
        ({"--set": "max_token=9"}, ("--set max_token=9: no such key",)),
        ({"--sett": "x"}, ("--sett", "--help")),
    ],
)
def test_a_mistake_is_one_line(own, changes, words, capsys, monkeypatch):
    monkeypatch.chdir(own)
    (own / "one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in synthetic.rows(9, ["en"])))
    right = {"--encoder": "blind", "--eval": "mine.jsonl"}
    assert command.main([word for pair in (right | changes).items() for word in pair]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert [word for word in words if word not in error] == [], error


# --- two encoders ---


def test_two_encoders_are_compared_question_by_question(own):
    from lib.interop import against

    blind, biased, data = (str(own / name) for name in ("blind", "biased", "mine.jsonl"))
    found = against.compare(blind, biased, data).set_index(["setting", "measure"])
    one, two = audit.audit(blind, data), audit.audit(biased, data)
    for setting in metrics.SETTINGS:
        row = found.loc[setting, "map"]
        assert (row["value"], row["other"]) == (value(one, setting, "map"), value(two, setting, "map"))
        assert row["difference"] == pytest.approx(row["value"] - row["other"], abs=2e-6)
    # All questions are alike here, so that nothing is left to chance.
    assert found.loc[("multilingual", "map"), "verdict"] == "better" and found.loc[("multilingual", "map"), "low"] > 0
    assert found.loc[("monolingual", "map"), "verdict"] == "equivalent"
    assert found.loc[("multilingual", "own_first"), "verdict"] == "lower"
    turned = against.compare(biased, blind, data).set_index(["setting", "measure"])
    assert turned.loc[("multilingual", "map"), "verdict"] == "worse"
    np.testing.assert_allclose(turned["low"].astype(float), -found["high"].astype(float), atol=1e-6)


def test_a_comparison_is_printed_and_written(own, capsys):
    arguments = ["--encoder", str(own / "blind"), "--against", str(own / "biased"), "--eval", str(own / "mine.jsonl")]
    assert command.main([*arguments, "--out", str(own / "both.csv")]) == 0
    said = capsys.readouterr().out
    assert "blind (first) against biased (second) on mine" in said and "better" in said
    assert len(pd.read_csv(own / "both.csv")) > 5 and (own / "both.csv").stat().st_mode & 0o777 == 0o644


def test_an_encoder_is_not_compared_with_itself(own, capsys):
    arguments = ["--encoder", str(own / "blind"), "--against", str(own / "blind"), "--eval", str(own / "mine.jsonl")]
    assert command.main(arguments) == 2
    assert "it is the encoder itself" in capsys.readouterr().err


def test_an_audit_takes_from_a_run_the_settings_of_the_encoder(own_folders, monkeypatch):
    monkeypatch.setattr(exports.cells, "model", lambda run, cell: f"the model of {cell.id}")
    run = config.load("smoke", ["encoder=[static, use-m]", "by_encoder={use-m: {max_tokens: 32}}"])
    records.remember(run)
    cell = next(cell for cell in grid.trainings(grid.plan(run.config)) if cell.encoder == "use-m")
    for name, model, tokens in (("use-m", "", 32), (cell.id, f"the model of {cell.id}", 32), ("static", "", 128)):
        [(encoder, settings)] = exports.of_run(run.name, [], [name])
        assert encoder == (model or name) and f"max_tokens={tokens}" in settings
    [(_, settings)] = exports.of_run(run.name, ["max_tokens=64"], ["use-m"])
    assert settings.count("max_tokens=64") == 1 and "max_tokens=32" not in settings


def test_an_encoder_of_ones_own_is_audited_in_full_precision(tmp_path):
    synthetic.encoder(["one", "two"]).save(str(tmp_path / "mine"), create_model_card=False)
    asked = {"mine": [], "static": [], "told": ["precision=bfloat16"]}
    names = {"mine": str(tmp_path / "mine"), "told": str(tmp_path / "mine"), "static": "static"}
    found = {key: audit._run(names[key], "facts", given).config.precision for key, given in asked.items()}
    assert found == {"mine": "float32", "static": "auto", "told": "bfloat16"}
