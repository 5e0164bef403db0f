"""The leak check: planted copies are found, translations and other languages are not, and the real sets are apart."""

import json

import pandas as pd
import pytest
import synthetic

from lib.base import config
from lib.base import store as artifacts
from lib.data import catalog as data
from lib.data import sets as parallel
from lib.data.own import rows as own_rows
from lib.data.released import lareqa
from lib.evidence.paper import leaks

LONG = (
    "The harbour was dredged again in the spring of 1904, after two winters in which no ship deeper than four metres "
    "could reach the quay, and the town council paid for the work by selling the old customs house to a brewer."
)


def row(number: str, question: dict, passage: dict, **more) -> dict:
    return {"id": number, "q": question, "p": passage, **more}


TRAINED = [
    row("t1", {"en": "When was the harbour of the town dredged again?"}, {"en": LONG, "de": "Der Hafen der Stadt."}),
    row("t2", {"en": "Who paid for the new bridge over the river?", "de": "Wo liegt es?"}, {"en": "The city paid."}),
]


def found(test: list[dict], trained: list[dict] = TRAINED) -> dict[tuple[str, str], tuple[int, int, str]]:
    """What `overlap` says of two lists of rows: (unit, match) to (found, of, example)."""
    table = leaks.overlap(parallel.from_rows("train", trained), parallel.from_rows("test", test))
    assert table.columns.tolist() == leaks.COLUMNS
    return {(r.unit, r.match): (r.found, r.of, r.example) for r in table.itertuples()}


def test_sets_that_share_nothing_have_no_match_in_any_row():
    test = [row("x", {"en": "Which colour has the flag?"}, {"en": "Its flag is blue and white.", "de": "Blau."})]
    assert found(test) == {
        ("question id", "exact"): (0, 1, ""),
        ("group", "exact"): (0, 1, ""),
        ("question", "exact"): (0, 1, ""),
        ("question", "near"): (0, 1, ""),
        ("answer sentence", "exact"): (0, 2, ""),
        ("answer sentence", "near"): (0, 2, ""),
    }


def test_a_copy_is_found_whatever_its_case_width_and_blanks():
    copy = "WHEN was the\u00a0harbour of  the town dredged\tagain\uff1f "  # no-break space, full-width question mark
    test = [row("x", {"en": copy}, {"en": "In a year of its own."}), row("y", {"en": "Why?"}, {"en": "THE CITY PAID."})]
    rows = found(test)
    assert rows["question", "exact"] == (1, 2, copy)
    assert rows["question", "near"] == (1, 2, "")  # it includes the copy, and has nothing else to show
    assert rows["answer sentence", "exact"] == (1, 2, "THE CITY PAID.")  # too short for near, not for exact


def test_a_near_copy_is_near_and_not_exact():
    question = "So when was the harbour of the town dredged again?"
    passage = LONG.replace("1904", "1905").replace("a brewer", "the brewer")
    rows = found([row("x", {"en": question}, {"en": passage})])
    assert rows["question", "exact"] == rows["answer sentence", "exact"] == (0, 1, "")
    assert rows["question", "near"] == (1, 1, question)
    assert rows["answer sentence", "near"] == (1, 1, passage[: leaks.EXAMPLE])


def test_a_text_on_the_same_thing_in_other_words_is_not_near():
    passage = (
        "In the spring of 1904 the brewer bought the customs house, and ships of four metres reached the quay again."
    )
    rows = found([row("x", {"en": "When did they dredge the harbour?"}, {"en": passage})])
    assert rows["question", "near"][0] == rows["answer sentence", "near"][0] == 0


def test_a_short_text_is_only_matched_exactly():
    trained = [row("t", {"en": "Slide master"}, {"en": "p" * 20})]
    test = [row("x", {"en": "Master slide"}, {"en": "z" * 20}), row("y", {"en": "slide master"}, {"en": "y" * 20})]
    rows = found(test, trained)  # the same words: their n-grams are equal, but that says little of so few
    assert rows["question", "exact"] == (1, 2, "slide master")
    assert rows["question", "near"] == (1, 2, "")
    longer = [row("x", {"en": "river the over bridge new"}, {"en": "z" * 20})]
    assert found(longer, [row("t", {"en": "New bridge over the river"}, {"en": "p"})])["question", "near"][0] == 1


def test_the_same_text_in_another_language_is_no_match():
    test = [row("x", {"de": TRAINED[0]["q"]["en"]}, {"de": LONG})]
    assert {r[0] for r in found(test).values()} == {0}
    test = [row("x", {"de": "Wo liegt es?"}, {"de": "Im Norden."})]
    assert found(test)["question", "exact"] == (1, 1, "Wo liegt es?")


def test_shared_ids_and_shared_groups_are_found_without_shared_texts():
    trained = [row("t1", {"en": "a"}, {"en": "b"}, group="Harbour"), row("t2", {"en": "c"}, {"en": "d"}, group="Mole")]
    test = [
        row("t2", {"de": "1"}, {"de": "2"}, group="Quay"),
        row("x", {"de": "3"}, {"de": "4"}, group="Harbour"),
        row("y", {"de": "5"}, {"de": "6"}, group="Harbour"),
    ]
    rows = found(test, trained)
    assert rows["question id", "exact"] == (1, 3, "t2")
    assert rows["group", "exact"] == (1, 2, "Harbour")
    assert rows["question", "exact"][0] == rows["answer sentence", "exact"][0] == 0


def test_equal_texts_of_a_language_are_one_unit():
    test = [row(str(n), {"en": "who paid?" if n else "Who  paid?", "de": "Wer?"}, {"en": "We."}) for n in range(3)]
    rows = found(test)
    assert rows["question", "exact"][1] == 2  # one English, one German
    assert rows["answer sentence", "exact"][1] == 1


def test_only_relevant_passages_of_questions_that_are_trained_on_count_as_seen():
    full = parallel.from_rows("mine", TRAINED)
    trained = full.only((full.questions["id"] == "t2").to_numpy())  # t1's passages stay in its pool
    test = parallel.from_rows("test", [row("x", {"en": "Why is that so?"}, {"en": LONG})])
    assert leaks.overlap(full, test)["found"].tolist() == [0, 0, 0, 0, 1, 1]
    assert leaks.overlap(trained, test)["found"].sum() == 0


def test_an_explicit_negative_of_the_training_set_counts_as_seen_and_one_of_the_test_set_is_no_unit():
    test = [row("x", {"en": "Why is that so?"}, {"en": LONG}, n={"en": TRAINED[1]["p"]["en"]})]
    assert found(test, TRAINED[1:])["answer sentence", "exact"] == (0, 1, "")
    trained = [TRAINED[1] | {"n": {"en": LONG.upper()}}]
    assert found(test, trained)["answer sentence", "exact"] == (1, 1, LONG[: leaks.EXAMPLE])


def test_other_passages_of_the_test_pool_are_no_units_of_the_test():
    full = parallel.from_rows("mine", TRAINED)
    one, other = (full.only((full.questions["id"] == number).to_numpy()) for number in ("t1", "t2"))
    assert leaks.overlap(one, other)["found"].sum() == 0  # the same pool, other questions


def test_parallel_sets_of_one_word_texts_match_in_all_languages_and_only_where_they_overlap():
    rows = synthetic.rows(6)
    counts = found(rows[2:], rows[:4])
    assert counts["question id", "exact"][:2] == (2, 4)
    assert counts["question", "exact"][:2] == counts["answer sentence", "exact"][:2] == (6, 12)


def test_long_texts_are_compared_in_spite_of_the_selection_before():
    """Every 40th letter changed keeps the cosine near .9; the selection must let all through that are above."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = [
        f"{a}{b}{c}" for a in ("har", "mol", "quai", "sten") for b in ("bo", "ri", "tu") for c in ("rin", "k", "le")
    ]
    originals = [" ".join(words[(i * k + i * i) % len(words)] for i in range(45)) for k in range(1, 25)]
    edited = [
        "".join("x" if place % every == every - 1 else letter for place, letter in enumerate(text))
        for every, text in zip([20, 30, 40, 60] * 6, originals, strict=True)
    ]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=False).fit_transform(originals + edited)
    near = (vectors[24:] @ vectors[:24].T).max(axis=1).toarray().ravel() >= leaks.COSINE
    assert 3 < near.sum() < 24
    passages = [[row(f"{i}", {"en": f"q{i}"}, {"en": t}) for i, t in enumerate(x)] for x in (edited, originals)]
    assert found(*passages)["answer sentence", "near"][:2] == (near.sum(), 24)


# --- a profile's sets, and LAReQA's paragraphs ---


def own(tmp_path, name: str, rows: list[dict]) -> str:
    path = tmp_path / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return str(path)


def test_the_table_has_each_training_set_with_each_set_that_it_is_scored_on(tmp_path):
    rows = [r | {"split": "train"} for r in TRAINED]
    trained = own(tmp_path, "mine.jsonl", [*rows, row("d", {"en": "Why?"}, {"en": "So."}, split="dev")])
    leaked = own(tmp_path, "leaked.jsonl", [row("x", {"en": TRAINED[1]["q"]["en"]}, {"en": "So."})])
    profile = config.load("smoke", [f"train=[facts, {trained}]", f"eval=[facts, {leaked}, miracl-dev]"])
    table = leaks.table(profile)
    assert table.columns.tolist() == ["train", "dataset", *leaks.COLUMNS]
    pairs = table[["train", "dataset"]].drop_duplicates().values.tolist()
    assert pairs == [[x, y] for x in ("facts", trained) for y in ("facts", leaked)]
    cell = table[(table["train"] == trained) & (table["dataset"] == leaked)].set_index(["unit", "match"])["found"]
    assert cell["question", "exact"] == 1
    assert cell["answer sentence", "exact"] == 0  # "So." answers a development question: it is not trained on


@pytest.mark.real_data
def test_the_small_pool_of_miracl_is_compared_too_and_shares_nothing_with_xquad_r(real_data):
    if not list(real_data.glob("miracl-mini/*")):
        pytest.skip("miracl-mini is not here")
    profile = config.load("full", ["train=[xquad-r]", "eval=[miracl-mini]", "strategies=[none, x-y]"])
    table = leaks.table(profile)
    assert set(table["dataset"]) == {"miracl-mini"} and table["found"].sum() == 0
    assert dict(zip(table["unit"], table["of"], strict=True))["answer sentence"] > 1000


def test_a_leak_check_stands_for_its_texts_and_rules_alone(tmp_path, monkeypatch):
    both = [r | {"split": "train"} for r in TRAINED]
    trained, tested = own(tmp_path, "mine.jsonl", both), own(tmp_path, "test.jsonl", both[:1])
    profile = config.load("smoke", [f"train=[{trained}]", f"eval=[{tested}]"])

    def inputs() -> dict:
        own_rows._set_of.cache_clear()
        data._trainable.cache_clear()
        return leaks.inputs(profile)

    before = inputs()
    assert [(train, test) for train, _, test, _ in before["pairs"]] == [(trained, tested)]
    for name, other, same in (("mine.jsonl", both[:1], both), ("test.jsonl", both, both[:1])):
        own(tmp_path, name, other)
        assert inputs() != before
        own(tmp_path, name, same)
        assert inputs() == before
    monkeypatch.setattr(artifacts, "file_digest", lambda path: "edited" if path.name == "catalog.py" else "as it was")
    assert inputs()["code"]["data"] != before["code"]["data"]


@pytest.fixture
def tiny_lareqa(monkeypatch):
    """XQuAD-R and MLQA-R of one question each, whose sentences differ and whose paragraphs may be given."""

    def lay(**paragraphs: str):
        def read(name, candidates="sentence"):
            key = name.split("-")[0]
            tail = f" {paragraphs[key]}" if candidates != "sentence" else ""
            passages = {"en": f"The sentence of {key}.{tail}"}
            return parallel.from_rows(name, [row(key, {"en": f"The question of {key}?"}, passages)])

        monkeypatch.setattr(lareqa, "read", read)
        return leaks.overlap(read("xquad-r"), read("mlqa-r")).set_index(["unit", "match"])["found"]

    return lay


def test_a_shared_paragraph_is_found_behind_sentences_that_differ(tiny_lareqa):
    assert tiny_lareqa(xquad=LONG, mlqa="Something else altogether, of which nobody knows.").sum() == 0
    counts = tiny_lareqa(xquad=LONG, mlqa=LONG.upper())
    assert counts[counts > 0].to_dict() == {("paragraph", "exact"): 1, ("paragraph", "near"): 1}


@pytest.mark.real_data
@pytest.mark.parametrize(
    "train, test",
    [("xquad-r", "mlqa-r"), ("mlqa-r", "xquad-r"), ("xquad-r", "xquad-r-heldout")],
)
def test_nothing_of_a_benchmark_is_seen_in_training_on_another_set_as_published(train, test, real_data):
    run = config.load("full")
    found = leaks.overlap(data.training_set(train, run.config.eval), data.evaluation_set(test))
    kept = pd.read_csv(run.folder / "published" / "overlap.csv", keep_default_na=False, dtype={"example": str})
    kept = kept[(kept["train"] == train) & (kept["dataset"] == test)]
    pd.testing.assert_frame_equal(found, kept[leaks.COLUMNS].reset_index(drop=True))
    assert (found["of"] > 0).all() and found["found"].sum() == 0


@pytest.mark.real_data
def test_the_two_articles_that_both_benchmarks_have_are_found_where_they_are_not_dropped(real_data):
    table = leaks.overlap(lareqa.read("xquad-r"), lareqa.read("mlqa-r")).set_index(["unit", "match"])
    assert table["found"][table["found"] > 0].to_dict() == {("group", "exact"): 2, ("answer sentence", "near"): 1}
    assert table.loc[("group", "exact"), "example"] == "Prime number"
    assert "is called a composite number" in table.loc[("answer sentence", "near"), "example"]
