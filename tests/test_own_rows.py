"""What is promised of rows that people bring: they mean what they say, and what was done to them is said."""

import gzip
import itertools
import json
import unicodedata

import numpy as np
import pytest
import synthetic
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lib.base import config
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data import jsonl
from lib.data import sets as parallel
from lib.data.own import doubts
from lib.data.own import rows as own_rows
from lib.evaluation import metrics, search
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.training.pairs import Pairs
from lib.training.sampling import BatchOrder, Strategy

ACCENTED = "Le café est fermé à Noël, et le thé aussi"


def plain(questions: int = 12, languages: tuple[str, ...] = ("de", "en", "pt-BR")) -> list[dict]:
    """Rows as a careful person writes them, of which a third share their passage with others."""
    made = synthetic.rows(questions, languages, passages=questions * 2 // 3)
    return [row | {side: {x: f"{ACCENTED} {t}" for x, t in row[side].items()} for side in "qp"} for row in made]


SHARED = "4 rows with an answer that an earlier row has too: one passage, right for both (first in row 9)"


def write(folder, rows, name="mine.jsonl", zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / name).write_bytes(gzip.compress(content) if zipped else content)
    return folder / name


CODES = {
    "de": ["de", "DE", "deu", "ger", "Deu"],
    "en": ["en", "EN", "eng"],
    "pt-BR": ["pt-BR", "pt_br", "PT-br", "por-BR"],
}
SPELLINGS = [
    lambda text: text,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: text + " ",
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: "\ufeff" + text,
    lambda text: text.replace(" ", "\u200e \u00ad\u2060\u061c").replace("f", "f\ufe0f"),
]
WRITTEN = (
    *("nan", "NaN", "-nan", "-NaN", "NaT", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>"),
    *("None", "none", "null", "Null", "NULL", r"\N"),
)
NOTHING = [None, float("nan"), "", " \n", *WRITTEN]


@given(st.data(), st.booleans(), st.sampled_from(["mine.jsonl", "mine.jsonl.gz"]))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_however_rows_are_written_they_are_the_same_set(tmp_path, choose, zipped, name):
    rows = plain()
    right = own_rows.evaluation("mine", own_rows.read(write(tmp_path / "right", rows))[0])
    written = []
    for number, row in enumerate(rows):
        odd = {"id": row["id"], "group": choose.draw(st.sampled_from([None, float("nan"), ""]))}
        for side in "qp":
            odd[side] = {}
            for language, text in row[side].items():
                if side == "p" and number > 7:  # which others had before: the first spelling is kept
                    text = choose.draw(st.sampled_from(SPELLINGS))(text)
                odd[side][choose.draw(st.sampled_from(CODES[language]))] = text
            odd[side]["fr"] = choose.draw(st.sampled_from(NOTHING))
        written.append(odd)
    found, said = own_rows.read(write(tmp_path / "odd", written, name, zipped))
    assert own_rows.evaluation("mine", found).digest == right.digest
    assert "24 absent texts left out (first in row 1)" in said


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
def test_what_writers_put_where_nothing_is_is_left_out(tmp_path, nothing):
    rows = plain()
    found, said = own_rows.read(write(tmp_path, [row | {"p": row["p"] | {"fr": nothing}} for row in rows]))
    assert found == rows and "12 absent texts left out" in said


@pytest.mark.parametrize("word", ["Na", "na", "no", "nun", "Nan", "nul", "N", "-"])
def test_words_that_look_like_nothing_are_texts(tmp_path, word):
    rows = plain()
    rows[0]["p"]["en"] = rows[8]["p"]["en"] = word  # which share their answer
    assert own_rows.read(write(tmp_path, rows)) == (rows, SHARED)


def test_rows_that_are_right_are_read_as_before_and_no_more_is_said_than_that_they_share_answers(tmp_path):
    rows = plain()
    found, said = own_rows.read(write(tmp_path, rows))
    assert (found, said) == (rows, SHARED)
    assert own_rows.evaluation("mine", found).digest == parallel.from_rows("mine", rows).digest
    assert own_rows.training("mine", found).asked is None


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("EN", "en"), ("eng", "en"), ("ger", "de"), ("deu", "de"), ("chi", "zh"), ("cmn", "zh"), ("iw", "he"),
        ("pt_br", "pt-BR"), ("ZH-hans-cn", "zh-Hans-CN"), ("es-419", "es-419"), ("yue", "yue"), ("sh", "sr-Latn"),
        ("english", "english"), ("", ""), ("../en", "../en"),
    ],
)  # fmt: skip
def test_a_language_has_one_code(code, right):
    assert own_rows.canonical(code) == right == own_rows.canonical(right)


def test_what_was_done_is_one_line_with_counts_and_the_first_row(tmp_path, capsys, monkeypatch):
    rows = plain(14)
    rows[2]["p"]["eng"] = rows[2]["p"].pop("en")
    rows[4]["q"]["de"] = None
    rows[5]["source"] = "FAQ"
    rows[9] = rows[9] | {"q": rows[8]["q"]}
    path = write(tmp_path, rows)
    data.evaluation_set(str(path))
    data.evaluation_set(str(path))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"{path}: ")
    for part in (
        "1 language codes 'eng' read as en (first in row 3)",
        "1 absent texts left out (first in row 5)",
        "1 keys 'source' that nobody reads (first in row 6)",
        "1 rows that ask what an earlier one asks: one question with several right answers (first in row 10)",
    ):
        assert part in said


def test_signs_that_nobody_sees_make_no_other_text_and_joiners_do():
    unseen = "\ufeff\u200b\u200e\u200f\u061c\u00ad\u2060\u2061\u2062\u2063\u2064\ufe0f"
    assert all(parallel.alike(f"a{sign}b") == "ab" for sign in unseen)
    assert all(parallel.alike(f"a{sign}b") != "ab" for sign in "\u200c\u200d")


def test_two_codes_that_may_be_one_language_are_named(tmp_path):
    rows = [row | {"q": {"en-US": row["q"]["en"]}} for row in plain(6)]
    assert "en and en-US count as 2 languages" in own_rows.read(write(tmp_path, rows))[1]


# --- one question with several right answers ---


def twice() -> list[dict]:
    """12 questions, each in two rows with two right answers."""
    rows = plain(24)
    return [row | {"q": rows[number // 2]["q"]} for number, row in enumerate(rows)]


def test_rows_with_one_question_are_one_query_and_all_its_answers_are_right():
    made = own_rows.evaluation("mine", twice())
    assert len(made.questions) == 12 and len(made.queries) == 36
    single = parallel.from_rows("mine", twice())
    for query, line in made.queries.iterrows():
        wanted = {
            (x, text) for row in twice() if row["q"][line["language"]] == line["text"] for x, text in row["p"].items()
        }
        found = made.passages.loc[made.qrels.loc[made.qrels["query"] == query, "passage"]]
        assert set(zip(found["language"], found["text"], strict=True)) == wanted
    vectors = np.random.default_rng(0).normal(size=(len(made.passages), 8)).astype(np.float32)
    units = metrics.units(search.rank(vectors[: len(made.queries)], vectors, made).ranks)
    assert units.groupby("setting").size().to_dict() == {"monolingual": 36, "cross-lingual": 72, "multilingual": 36}
    assert single.pool == made.pool and single.passages.equals(made.passages)


def test_a_row_that_asks_nothing_but_what_another_one_asks_is_no_question_of_its_own():
    rows = plain(12, ("de", "en"))
    rows.append({"id": "again", "q": {"en": rows[0]["q"]["en"]}, "p": {"en": "also right"}})
    made = own_rows.evaluation("mine", rows)
    assert len(made.questions) == 12 and "also right" in set(made.passages["text"])
    right = made.queries.assign(right=made.qrels.groupby("query").size())
    assert right[right["question"] == 0].set_index("language")["right"].to_dict() == {"de": 2, "en": 3}


def test_two_questions_of_the_same_words_in_one_language_share_their_answers_in_that_language_alone():
    rows = plain(12, ("de", "en"))
    rows[1]["q"]["en"] = rows[0]["q"]["en"]
    made = own_rows.evaluation("mine", rows)
    assert len(made.questions) == 12
    right = made.qrels.groupby("query").size()
    asked = made.queries.assign(right=right)
    assert asked[asked["right"] == 4][["question", "language"]].values.tolist() == [[0, "en"], [1, "en"]]


@pytest.mark.parametrize("strategy", [Strategy("x-x-mono"), Strategy("x-y"), Strategy("hybrid", 0.5)])
def test_rows_with_one_question_never_share_a_batch(strategy):
    made = own_rows.training("mine", twice())
    assert len(made.questions) == 24  # each row is a pair of its own to learn from
    pairs = Pairs.of(made)
    sampler = strategy.sampler(pairs)(pairs.anchor, batch_size=6)
    question = made.queries["question"].to_numpy()[pairs.anchor]
    for _, batch in sampler.first(60):
        asked = [question[row] // 2 for row in batch.rows]
        assert len(set(asked)) == len(batch.rows)
    assert question.max() == 23


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=14, max_size=14), st.integers(0, 3))
def test_what_answers_a_question_in_one_row_is_no_wrong_passage_of_another_row_of_its_words(drawn, seed):
    """Rows that draw from ten questions and ten answers: within a batch each question has one right passage."""
    sides = [{"q": f"question {q}", "p": f"answer {p}"} for q, p in dict.fromkeys(drawn)]
    rows = [
        {"id": f"{n}"} | {k: {x: f"{t} {x}" for x in ("de", "en")} for k, t in of.items()} for n, of in enumerate(sides)
    ]
    right = {(row["q"][x], row["p"][y]) for row in rows for x in ("de", "en") for y in ("de", "en")}
    made = own_rows.training("mine", rows)
    pairs = Pairs.of(made)
    question, passage = made.queries["text"].to_numpy()[pairs.anchor], made.passages["text"].to_numpy()[pairs.positive]
    try:
        batches = list(BatchOrder(Strategy("hybrid", 0.5), pairs, 3, seed).first(12))
    except UserError:  # so few rows that no three of them go together
        assume(False)
    for _, batch in batches:
        for row in batch.rows:
            assert sum((question[row], passage[other]) in right for other in batch.rows) == 1


def test_a_negative_that_answers_the_same_words_in_another_row_is_refused_and_elsewhere_kept_apart(tmp_path):
    def row(id_, words, answer, wrong, **more):
        return {"id": id_, "q": {"en": words} | more.get("q", {}), "p": {"en": answer}, "n": {"en": wrong}}

    clash = [row("1", "X?", "a", "b"), row("2", "X?", "b", "z", q={"de": "Y?"})]
    with pytest.raises(UserError, match="negative"):
        own_rows.read(write(tmp_path, clash))
    rows = [row("1", "X?", "a", "z1"), row("2", "X?", "b", "z2"), row("3", "W?", "w", "b")]
    pairs = Pairs.of(own_rows.training("mine", rows))
    own = [set(codes) - {-1} for codes in pairs.answers.tolist()]
    wrong = [set(codes) - {-1} for codes in pairs.wrong.tolist()]
    assert own[0] & wrong[2] and own[1] & wrong[2]  # b, the wrong passage of 3, answers what 1 and 2 ask


def test_a_row_without_a_split_takes_that_of_its_group(tmp_path):
    rows = [{"id": f"page#{n}", "q": {"en": f"q{n}"}, "p": {"en": f"p{n}"}} for n in range(3)]
    rows[2]["split"] = "train"
    found, said = own_rows.read(write(tmp_path, rows))
    assert {row["split"] for row in found} == {"train"}
    assert "rows that take the split of their group" in said
    more = [{"id": f"{name}#8", "q": {"en": "both ask"}, "p": {"en": f"{name} says"}} for name in ("page", "other")]
    joined = own_rows.read(write(tmp_path, [*rows, *more, {"id": "other#2", "q": {"en": "q"}, "p": {"en": "p"}}]))[0]
    assert {row["split"] for row in joined} == {"train"}  # the groups are one, since both ask the same
    rows[1]["split"] = "test"
    assert [row.get("split") for row in own_rows.read(write(tmp_path, rows))[0]] == [None, "test", "train"]


def test_rows_with_one_question_are_in_one_split():
    rows = [row | {"id": f"{n}"} for n, row in enumerate(plain(60))]
    rows += [row | {"id": f"again {n}", "p": {"en": f"other {n}"}} for n, row in enumerate(rows[:60])]
    own_rows._join_groups(rows, list(range(1, 121)), own_rows.Remarks(list))
    splits = parallel.from_rows("mine", rows).questions["split"]
    assert (splits[:60].to_numpy() == splits[60:].to_numpy()).all() and splits.nunique() == 3


def read_twice(folder, rows, **more):
    """A file in which each question comes twice, in German and English, and then in English alone."""
    again = [
        {"id": f"again {n}", "q": {"en": row["q"]["en"]}, "p": {x: f"{text} too" for x, text in row["p"].items()}}
        | {key: of(n) for key, of in more.items()}
        for n, row in enumerate(rows)
    ]
    return own_rows.read(write(folder, [*rows, *again]))


def test_rows_that_share_a_question_in_one_language_are_in_one_split_whatever_their_groups(tmp_path):
    rows = synthetic.rows(60, ("de", "en"))
    rows += [{"id": f"far {n}", **{x: {"en": f"{x} {n}"} for x in "qp"}, "group": f"g{n}"} for n in range(3)]
    right = parallel.from_rows("mine", rows).questions
    for name, more in (("plain", {}), ("groups", {"group": lambda n: f"other {n}"})):
        found, said = read_twice(tmp_path / name, rows, **more)
        made = parallel.from_rows("mine", found).questions
        assert made[: len(rows)].equals(right)
        assert (made["split"][len(rows) :].to_numpy() == right["split"]).all() and right["split"].nunique() == 3
        assert "60 rows that ask in some languages what an earlier one asks: all in one split (first in row 64)" in said
        assert ("63 rows whose group is joined to an earlier one" in said) == bool(more)


def test_all_rows_of_groups_that_share_a_question_are_in_one_group(tmp_path):
    rows = [row | {"group": f"g{n // 3}"} for n, row in enumerate(synthetic.rows(9, ("de", "en")))]
    rows[8]["q"]["de"] = rows[1]["q"]["de"]
    found, said = own_rows.read(write(tmp_path, rows))
    assert [row["group"] for row in found] == ["g0"] * 3 + ["g1"] * 3 + ["g0"] * 3
    assert "3 rows whose group is joined to an earlier one, since both ask the same (first in row 7)" in said


def test_a_question_in_two_splits_is_refused_and_one_that_names_none_goes_with_the_others(tmp_path):
    rows = [row | {"split": "test"} for row in synthetic.rows(12, ("de", "en"))]
    found, _ = read_twice(tmp_path / "one", rows)
    assert {row["split"] for row in found} == {"test"}
    for one, other in (("test", "train"), ("train", "test")):
        with pytest.raises(UserError) as told:
            read_twice(tmp_path / one, [row | {"split": one} for row in rows], split=lambda n, other=other: other)
        right = f"mine.jsonl, row 13: field 'split': it is {other}, but {one} in row 1, which asks the same; "
        assert right in str(told.value) and "\n" not in str(told.value)


def test_only_of_a_set_keeps_who_is_asked_the_same():
    made = own_rows.training("mine", twice())
    keep = np.arange(24) % 2 == 0
    assert (made.only(keep).asked == made.asked[keep]).all()


# --- ids ---


@pytest.mark.parametrize(
    ("id_", "group"), [("page#2", "page"), ("#1", "#1"), ("#1#2", "#1"), ("##", "##"), ("a", "a"), ("a\n#b", "a\n")]
)
def test_the_group_of_a_row_is_the_part_of_its_id_before_the_hash(id_, group):
    assert parallel.group_of({"id": id_}) == group


def test_rows_of_one_group_alone_are_named(tmp_path):
    rows = [row | {"id": f"faq#{row['id']}"} for row in plain()]
    assert "all rows are of one group, 'faq', and so in one split" in own_rows.read(write(tmp_path, rows))[1]
    assert "group" not in own_rows.read(write(tmp_path, [row | {"split": "train"} for row in rows]))[1]


def test_equal_answers_are_named_with_the_first_row(tmp_path):
    rows = synthetic.rows(12)
    assert own_rows.read(write(tmp_path, rows))[1] == ""
    rows[3]["p"] = dict.fromkeys(rows[3]["p"], "1874")
    said = own_rows.read(write(tmp_path, rows))[1]
    assert said.startswith("1 rows with one answer in all languages: such passages tie,") and "(first in row 4)" in said
    one = sorted(rows[5]["p"])[0]
    rows[6]["p"][one] = rows[5]["p"][one]
    rows[7]["p"] = dict(rows[5]["p"])
    said = own_rows.read(write(tmp_path, rows))[1]
    assert "2 rows with an answer that an earlier row has too: one passage, right for both (first in row 7)" in said


@given(st.lists(st.lists(st.integers(0, 12), max_size=3), min_size=1, max_size=12))
def test_rows_are_connected_through_whatever_they_share(keys):
    """Against the plain way: rows take the smallest number of what they share until nothing changes."""
    first = list(range(len(keys)))
    for _ in keys:
        for a, b in itertools.combinations(range(len(keys)), 2):
            if set(keys[a]) & set(keys[b]):
                first[a] = first[b] = min(first[a], first[b])
    assert own_rows._connected(keys) == first


def test_what_is_written_into_a_set_stays_with_whoever_does_it(tmp_path):
    path = str(write(tmp_path, plain(60)))
    for get in (data.evaluation_set, lambda name: data.training_set(name, [])):
        before, mine = get(path).digest, get(path)
        mine.queries.loc[0, "text"], mine.passages.loc[:, "text"] = "changed", "gone"
        again = get(path)
        assert "changed" not in set(again.queries["text"]) and "gone" not in set(again.passages["text"])
        assert data.evaluation_set(path) is not again and get(path).digest == before
    one = data.evaluation_set(path)
    one.heldout.queries.loc[0, "text"] = "changed"
    assert "changed" not in set(data.evaluation_set(f"{path}-heldout").queries["text"])


# --- held-out rows of one's own ---


def split_rows(splits):
    rows = synthetic.rows(len(splits), ("de", "en"))
    return [row | {"split": split} for row, split in zip(rows, splits, strict=True)]


def test_the_held_out_rows_of_a_file_are_scored_against_all_its_passages(tmp_path):
    path = write(tmp_path, split_rows(["train"] * 20 + ["test"] * 4))
    whole, held = data.evaluation_set(str(path)), data.evaluation_set(f"{path}-heldout")
    assert (held.name, held.pool) == ("mine-heldout", "mine") and len(held.questions) == 4
    assert held.passages.equals(whole.passages) and set(held.queries["text"]) < set(whole.queries["text"])


def test_without_a_word_on_what_to_score_a_run_is_scored_on_the_held_out_rows_of_its_own_file(tmp_path):
    path = write(tmp_path, split_rows(["train"] * 20 + ["test"] * 4))
    run = runs.open_run("smoke", [f"train={path}"])
    assert run.config.eval == (f"{path}-heldout",) and run.name == config.load("smoke", [f"train={path}"]).name
    assert {tuple(grid.evaluated(cell, run.config)) for cell in grid.plan(run.config)} == {(f"{path}-heldout",)}
    named = runs.open_run("smoke", [f"train={path}", "eval=facts"])
    assert named.config.eval == ("facts",)
    (tmp_path / "other").mkdir()
    none = runs.open_run("smoke", [f"train={write(tmp_path / 'other', split_rows(['train'] * 20))}"])
    assert none.config.eval == config.load("smoke").config.eval


def test_a_file_without_held_out_rows_cannot_be_scored_on_them(tmp_path):
    path = write(tmp_path, split_rows(["train"] * 20))
    with pytest.raises(UserError, match="mine.jsonl-heldout: none of its questions is in the split test"):
        runs.open_run("smoke", [f"train={path}", f"eval={path}-heldout"])


@pytest.mark.parametrize(
    ("code", "is_one"),
    [("de", True), ("pt-BR", True), ("zh-Hant", True), ("es-419", True), ("ca-valencia", True), ("de-1996", True),
     ("yue", True), ("is-correct", False), ("de-source", False), ("as-Html", False), ("id-english", False),
     ("all", False)],
)  # fmt: skip
def test_a_language_has_scripts_territories_and_variants_that_there_are(code, is_one):
    assert jsonl.is_language(code) is is_one


# --- names in several spellings, and languages within others ---


@pytest.mark.parametrize("odd", [lambda text: unicodedata.normalize("NFD", text), lambda text: f"\ufeff{text} "])
def test_ids_and_groups_are_one_in_whatever_form_they_are_written(tmp_path, odd):
    rows = [row | {"id": f"Café {n // 3}#{n}", "split": "train"} for n, row in enumerate(plain(12))]
    other = [row | {key: odd(row[key]) for key in ("id", "split")} if n % 2 else row for n, row in enumerate(rows)]
    assert own_rows.read(write(tmp_path, other))[0] == own_rows.read(write(tmp_path / "right", rows))[0]
    grouped = [row | {"id": str(n), "group": "Café"} for n, row in enumerate(rows)]
    grouped[1]["group"] = odd("Café")
    assert {row["group"] for row in own_rows.read(write(tmp_path, grouped))[0]} == {"Café"}
    again = [*rows[:2], rows[2] | {"id": odd(rows[0]["id"])}]
    with pytest.raises(UserError, match="row 3: field 'id': 'Café 0#0' occurs twice; ids must differ"):
        own_rows.read(write(tmp_path, again))


# --- languages whose codes end in digits, and signs that cannot be seen ---


@pytest.mark.parametrize("languages", [("ar", "ar-001"), ("en", "en-001", "en-150", "fr"), ("es", "es-419", "es-MX")])
def test_each_language_is_in_one_piece_in_the_order_of_docids(languages):
    rows = synthetic.rows(1_200, languages)
    made = own_rows.evaluation("mine", rows)
    assert made.passages["docid"].is_monotonic_increasing and made.passages["docid"].is_unique
    assert (made.passages["language"] != made.passages["language"].shift()).sum() == len(languages)
    assert len(search.rank(np.eye(2)[[0] * len(made.queries)], np.eye(2)[[0] * len(made.passages)], made).ranks)


def test_docids_of_other_sets_are_written_as_they_were_published():
    rows = [{"id": "1", "q": {"en-US": "a"}, "p": {"en": "x", "en-US": "y", "zh-Hans": "z"}}]
    docids = parallel.from_rows("mine", rows).passages["docid"].tolist()
    assert docids == ["en-000000", "en-US-000000", "zh-Hans-000000"]


@pytest.mark.parametrize("marks", ["\u202b{}\u202c", "\u2067{}\u2069", "\u200f{}", "\u061c{}", "{}\u00ad", "\u200b{}"])
def test_signs_that_cannot_be_seen_make_no_other_text(marks, tmp_path):
    """As Excel and Word put them around Arabic and Hebrew; nor do they hide a copy from the check for leaks."""
    assert parallel.alike(marks.format("متى")) == parallel.alike("متى")
    assert parallel.folded(marks.format("Café")) == parallel.folded("café")
    rows = synthetic.rows(12)
    rows[6]["p"] = {x: marks.format(text) for x, text in rows[5]["p"].items()}
    assert len(own_rows.evaluation("mine", own_rows.read(write(tmp_path, rows))[0]).passages) == 33


@pytest.mark.parametrize(
    ("languages", "said"),
    [
        (("nb", "no"), "nb and no count as 2 languages"),
        (("nb", "nn", "no"), "nb and nn and no count as 3 languages"),
        (("nob", "nor"), "nb and no count as 2 languages"),
        (("pbt", "ps"), "pbt and ps count as 2 languages"),
        (("yue", "zh-Hant"), "yue and zh-Hant count as 2 languages"),
        (("nan-TW", "zh"), "nan-TW and zh count as 2 languages"),
        (("ar", "arz", "en"), "ar and arz count as 2 languages"),
        (("en", "en-US"), "en and en-US count as 2 languages"),
        (("en", "gpt"), "Unicode CLDR knows no language gpt; is it one?"),
        (("en", "quh-BO"), "Unicode CLDR knows no language quh-BO; is it one?"),  # it is, but a rare one
        (("apc", "crr", "nan-TW", "sr-Latn", "tlh", "yue"), ""),
        (("nb", "nn"), ""), (("id", "ms"), ""), (("yue", "wuu"), ""), (("de", "en"), ""),
    ],
)  # fmt: skip
def test_a_language_beside_the_one_that_it_is_counted_to_is_said(tmp_path, languages, said):
    rows = [{"id": str(n), **{s: {x: f"{s} {x} {n}" for x in languages} for s in "qp"}} for n in range(3)]
    remark = own_rows.read(write(tmp_path, rows))[1]
    assert (said in remark) if said else "language" not in remark


def test_a_language_that_is_counted_to_another_is_one_that_codes_are_read_as():
    codes = {*doubts.WHOLE, *doubts.WHOLE.values()}
    assert {code for code in codes if jsonl.canonical(code) != code or not jsonl.is_language(code)} == set()
    assert sum(map(len, map(str.split, doubts.MEMBERS.values()))) == len(doubts.WHOLE)
