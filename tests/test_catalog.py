"""The data: real counts, labels by the half-open rule, splits by article, and the parallel JSONL reader."""

import bisect
import csv
import gzip
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import paths
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data import download, jsonl, outlines
from lib.data import sets as parallel
from lib.data.released import lareqa
from lib.runs import open as runs

# Questions of MLQA-R with a relevant sentence in both languages of a pair; the diagonal is the query count.
MLQA_LANGUAGES = ["ar", "de", "en", "es", "hi", "vi", "zh"]
MLQA_PAIRS = [
    [517, 207, 517, 161, 186, 163, 188],
    [207, 512, 512, 196, 163, 182, 190],
    [517, 512, 1148, 500, 507, 511, 504],
    [161, 196, 500, 500, 187, 189, 161],
    [186, 163, 507, 187, 507, 177, 189],
    [163, 182, 511, 189, 177, 511, 184],
    [188, 190, 504, 161, 189, 184, 504],
]


def in_order(docids) -> bool:
    """Whether docids ascend strictly by their bytes, as the total order of a ranking takes them."""
    return all(one.encode() < other.encode() for one, other in zip(docids, docids[1:], strict=False))


# --- XQuAD-R and MLQA-R as released ---


@pytest.mark.real_data
@pytest.mark.parametrize("name", data.LAREQA)
def test_queries_and_candidates_are_those_of_the_paper_in_each_language(name, real_data):
    with open(paths.PUBLISHED / "eval_data.csv", encoding="utf-8") as file:
        wanted = {r["language"]: (r["queries"], r["candidates"]) for r in csv.DictReader(file) if r["dataset"] == name}
    found = lareqa.read(name)
    queries, passages = (table["language"].value_counts() for table in (found.queries, found.passages))
    assert {x: (str(queries[x]), str(passages[x])) for x in found.languages} == wanted


@pytest.mark.real_data
def test_every_question_of_xquad_r_has_one_relevant_sentence_in_each_of_11_languages(real_data):
    xquad = lareqa.read("xquad-r")
    assert xquad.languages == ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
    assert len(xquad.questions) == 1190 and len(xquad.passages) == 13_014
    assert xquad.passages["text"].nunique() == 13_000
    assert (xquad.passage_rows >= 0).all() and (xquad.query_rows >= 0).all()
    assert len(xquad.qrels) == 1190 * 11 * 11


@pytest.mark.real_data
def test_questions_of_mlqa_r_are_answered_in_the_language_pairs_that_were_counted_by_hand(real_data):
    mlqa = lareqa.read("mlqa-r")
    assert mlqa.languages == MLQA_LANGUAGES
    assert len(mlqa.questions) == 1148 and len(mlqa.queries) == 4199 and len(mlqa.passages) == 20_534
    asked, answered = mlqa.query_rows >= 0, mlqa.passage_rows >= 0
    assert (asked.astype(int).T @ answered.astype(int)).tolist() == MLQA_PAIRS
    assert np.bincount(answered.sum(axis=1)).tolist() == [0, 0, 65, 263, 820]


@pytest.mark.real_data
def test_all_17289_questions_have_the_sentence_in_which_their_answer_starts(real_data):
    rows = 0
    for name in data.LAREQA:
        found = lareqa.read(name)
        number = {id_: n for n, id_ in enumerate(found.questions["id"])}
        for column, language in enumerate(found.languages):
            for article in json.loads((real_data / name / f"{language}.json").read_text("utf-8"))["data"]:
                for paragraph in article["paragraphs"]:
                    starts = [begin for begin, _ in paragraph["sentence_breaks"]]
                    for qa in paragraph["qas"]:
                        sentence = bisect.bisect_right(starts, qa["answers"][0]["answer_start"]) - 1
                        question = number[qa["id"]]
                        passage = found.passages["text"].iat[found.passage_rows[question, column]]
                        assert passage == paragraph["sentences"][sentence]
                        assert found.queries["text"].iat[found.query_rows[question, column]] == qa["question"]
                        rows += 1
    assert rows == 17_289


@pytest.mark.real_data
def test_paragraphs_follow_the_sentence_where_that_is_wanted_and_labels_stay(real_data):
    plain, with_paragraph = lareqa.read("mlqa-r"), lareqa.read("mlqa-r", "sentence+paragraph")
    assert with_paragraph.pool == "mlqa-r+paragraph" and plain.pool == "mlqa-r"
    assert with_paragraph.qrels.equals(plain.qrels)
    both = zip(plain.passages["text"], with_paragraph.passages["text"], strict=True)
    assert all(long.startswith(short + " ") and long.count(short.strip()) >= 2 for short, long in both)


@pytest.mark.real_data
def test_each_language_is_in_one_piece_and_docids_ascend(real_data):
    for found in (*map(lareqa.read, data.LAREQA), data.evaluation_set("facts")):
        assert in_order(found.passages["docid"].tolist())
        assert found.qrels.equals(found.qrels.sort_values(["query", "passage"], ignore_index=True))


# --- what may be trained on ---


@pytest.mark.real_data
def test_splits_are_by_article_and_take_about_80_10_10(real_data):
    for found in map(lareqa.read, data.LAREQA):
        assert (found.questions.groupby("group")["split"].nunique() == 1).all()
        shares = found.questions["split"].value_counts(normalize=True)
        assert 0.65 < shares["train"] < 0.85 and shares["dev"] > 0.05 and shares["test"] > 0.05


@pytest.mark.real_data
def test_two_articles_occur_in_both_sets_and_are_not_trained_on(real_data):
    xquad, mlqa = map(lareqa.read, data.LAREQA)
    shared = set(xquad.questions["group"]) & set(mlqa.questions["group"])
    assert shared == {"Harvard University", "Prime number"}
    assert xquad.questions["group"].isin(shared).sum() == 43
    assert mlqa.questions["group"].isin(shared).sum() == 3
    for name, other, alone, beside in (("xquad-r", "mlqa-r", 817, 793), ("mlqa-r", "xquad-r", 905, 904)):
        assert len(data.training_set(name, [name]).questions) == alone
        chosen = data.training_set(name, ["xquad-r", "mlqa-r"])
        assert len(chosen.questions) == beside
        assert not set(chosen.questions["group"]) & set(lareqa.read(other).questions["group"])


@pytest.mark.real_data
def test_no_id_question_or_relevant_sentence_is_in_both_training_and_test(real_data):
    def contents(found) -> tuple[set, set, set]:
        return (
            set(found.questions["id"]),
            set(found.queries["text"]),
            set(found.passages["text"].iloc[found.qrels["passage"]]),
        )

    for name, other in (data.LAREQA, data.LAREQA[::-1]):
        trained = contents(data.training_set(name, data.LAREQA))
        assert all(not one & two for one, two in zip(trained, contents(data.evaluation_set(other)), strict=True))
        held_out = data.evaluation_set(f"{name}-heldout")
        assert not trained[0] & set(held_out.questions["id"])
        assert not trained[1] & set(held_out.queries["text"])


@pytest.mark.real_data
def test_no_text_of_held_out_documentation_is_trained_on(real_data):
    if not runs.obtainable("parallel-docs"):
        pytest.skip("parallel-docs: data not obtainable")
    train, held = data.training_set("parallel-docs", ()), data.evaluation_set("parallel-docs-heldout")
    assert (len(train.questions), len(held.questions)) == (17949, 800)
    assert not train.repeats(held).any()
    assert not set(train.questions["group"]) & set(held.questions["group"])


@pytest.mark.real_data
def test_held_out_questions_are_scored_against_the_full_pool(real_data):
    full, held_out = data.evaluation_set("mlqa-r"), data.evaluation_set("mlqa-r-heldout")
    assert (held_out.name, held_out.pool) == ("mlqa-r-heldout", "mlqa-r")
    assert held_out.passages.equals(full.passages)
    assert set(held_out.questions["split"]) == {"test"} and len(held_out.questions) == 131


@pytest.mark.real_data
def test_miracl_mini_has_its_queries_and_passages(real_data):
    if not (real_data / "miracl-mini").is_dir():
        pytest.skip("miracl-mini is not here: it exists only in mirrors")
    found = data.evaluation_set("miracl-mini")
    assert len(found.queries) == len(found.questions) == 1311 and len(found.passages) == 38_740
    assert found.languages == ["ar", "de", "en", "es", "hi", "ru", "th", "zh"]
    assert found.passages["docid"].is_unique and in_order(found.passages["docid"].tolist())
    assert set(found.qrels["query"]) == set(range(1311))  # each has a relevant passage in the pool
    asked = found.queries["language"].iloc[found.qrels["query"]]
    assert asked.tolist() == found.passages["language"].iloc[found.qrels["passage"]].tolist()


def test_facts_for_training_and_for_the_test_have_no_question_in_common():
    train, test = data.training_set("facts", ["facts"]), data.evaluation_set("facts")
    assert set(train.questions["split"]) == {"train"} and set(test.questions["split"]) == {"test"}
    assert not set(train.queries["text"]) & set(test.queries["text"])
    assert len(train.languages) == len(test.languages) == 11


# --- files in LAReQA's format, written here ---


def lareqa_file(title: str, sentences: list[str], gap: int, questions: list[tuple[str, int]]) -> dict:
    """One article of one paragraph; ``gap`` blanks stand between sentences, questions are (id, answer start)."""
    breaks, at = [], 0
    for sentence in sentences:
        breaks.append([at, at + len(sentence)])
        at += len(sentence) + gap
    paragraph = {
        "context": (" " * gap).join(sentences),
        "sentences": sentences,
        "sentence_breaks": breaks,
        "qas": [{"id": i, "question": f"{i} {title}?", "answers": [{"answer_start": a}]} for i, a in questions],
    }
    return {"version": 1.0, "data": [{"title": title, "paragraphs": [paragraph]}]}


@pytest.fixture
def toy_xquad(tmp_path, monkeypatch):
    """A function that puts LAReQA files into a mirror of their own and reads them as XQuAD-R."""

    def read(**contents):
        files = {}
        for language, content in contents.items():
            path, body = f"xquad-r/{language}.json", json.dumps(content).encode()
            (tmp_path / "xquad-r").mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(body)
            files[path] = download.RemoteFile(path, len(body), hashlib.sha256(body).hexdigest(), "", "CC0")
        monkeypatch.setattr(download, "registry", lambda: files)
        monkeypatch.setenv("HYBRID_DATA_MIRROR", str(tmp_path))
        lareqa.read.cache_clear()
        return lareqa.read("xquad-r")

    yield read
    lareqa.read.cache_clear()


def test_an_answer_at_the_touching_break_of_two_chinese_sentences_is_in_the_second(toy_xquad):
    chinese = ["北京是首都。", "上海很大。", "广州很热。"]  # breaks [0,6] [6,11] [11,16]
    found = toy_xquad(
        en=lareqa_file("Old_Cities", ["One.", "Two.", "Three."], 1, [("a", 0), ("b", 5), ("c", 14)]),
        zh=lareqa_file("城市", chinese, 0, [("a", 5), ("b", 6), ("c", 11)]),
    )
    rows = found.passage_rows[:, found.languages.index("zh")]
    assert found.passages["text"].iloc[rows].tolist() == chinese
    english = found.passage_rows[:, found.languages.index("en")]
    assert found.passages["text"].iloc[english].tolist() == ["One.", "Two.", "Three."]
    assert found.questions["group"].unique().tolist() == ["Old Cities"]
    assert found.passages["docid"].tolist() == [f"{x}-{n:05d}" for x in ("en", "zh") for n in range(3)]


def test_a_question_that_lacks_a_language_has_no_query_and_no_answer_there(toy_xquad):
    found = toy_xquad(
        en=lareqa_file("T", ["One.", "Two."], 1, [("a", 0), ("b", 5)]),
        de=lareqa_file("T", ["Eins.", "Zwei."], 1, [("b", 6)]),
    )
    assert found.languages == ["de", "en"]
    assert (found.query_rows[:, 0] >= 0).tolist() == [False, True]
    assert (found.passage_rows[:, 0] >= 0).tolist() == [False, True]
    assert found.qrels.values.tolist() == [[0, 1], [0, 3], [1, 2], [2, 1], [2, 3]]  # de b, en a, en b


def test_an_answer_between_two_sentences_is_an_error_that_names_the_question(toy_xquad):
    with pytest.raises(UserError, match="question b: its answer starts in no sentence"):
        toy_xquad(en=lareqa_file("T", ["One.", "Two."], 1, [("a", 0), ("b", 4)]))


def test_a_data_set_that_does_not_exist_is_answered_with_those_that_do():
    reads = {"evaluation": data.evaluation_set, "training": lambda name: data.training_set(name, [])}
    first = {"evaluation": "xquad-r, xquad-r-heldout, mlqa-r, ", "training": "xquad-r, mlqa-r, "}
    for use, read in reads.items():
        with pytest.raises(UserError, match=f"data set 'xquad' does not exist for {use}; choose of {first[use]}"):
            read("xquad")


# --- parallel JSONL ---

GOOD = [
    {"id": "a", "q": {"en": "What?", "de": "Was?"}, "p": {"en": "This.", "de": "Dies."}},
    {"id": "b#1", "q": {"en": "Who?"}, "p": {"en": "She.", "zh": "她。"}, "title": {"en": "People"}, "group": "g"},
    {"id": "b#2", "q": {"zh": "谁?"}, "p": {"zh": "她。"}, "split": "test"},
]


def written(tmp_path, rows, name="mine.jsonl"):
    path = tmp_path / name
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.jsonl.gz"])
def test_parallel_rows_are_read_plain_and_gzipped(name, tmp_path):
    rows = jsonl.read_rows(written(tmp_path, [GOOD[0], "", *GOOD[1:]], name))
    assert rows == GOOD
    found = parallel.from_rows("mine", rows)
    assert found.languages == ["de", "en", "zh"]
    assert found.questions.values.tolist()[1][:2] == ["b#1", "g"]
    assert found.questions["group"].tolist() == ["a", "g", "b"]
    assert found.questions["split"].tolist() == [parallel.split_of("a"), parallel.split_of("g"), "test"]
    asked = [[0, "de", "Was?"], [0, "en", "What?"], [1, "en", "People: Who?"], [2, "zh", "谁?"]]
    assert found.queries.values.tolist() == asked
    assert found.passages["text"].tolist() == ["Dies.", "This.", "She.", "她。"]  # the last answers two questions
    assert found.qrels.values.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [2, 3], [3, 3]]


def test_ones_own_file_is_a_data_set(tmp_path):
    path = str(written(tmp_path, GOOD, "mine.jsonl.gz"))
    assert data.evaluation_set(path).name == "mine"
    trained = data.training_set(path, [])
    assert set(trained.questions["split"]) == {"train"}
    assert len(trained.passages) == 4  # the pool stays


def test_a_language_may_have_queries_without_passages():
    found = parallel.from_rows("mine", [{"id": "a", "q": {"hi": "क्या?", "en": "What?"}, "p": {"en": "This."}}])
    assert found.languages == ["en", "hi"]
    assert found.passage_rows.tolist() == [[0, -1]]
    assert found.query_rows.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "line 2: not a JSON object"),
        ("[1]", "row 2: not an object"),
        ({"q": {"en": "x"}, "p": {"en": "x"}}, "row 2: field 'id' must be a text"),
        ({"id": "", "q": {"en": "x"}, "p": {"en": "x"}}, "row 2: field 'id' must be a text"),
        ({"id": 7, "q": {"en": "x"}, "p": {"en": "x"}}, "row 2: field 'id' must be a text"),
        (GOOD[0], "row 2: field 'id': 'a' occurs twice"),
        ({"id": "x", "p": {"en": "x"}}, "row 2: field 'q' must map language codes to texts"),
        ({"id": "x", "q": {"en": "x"}, "p": "text"}, "row 2: field 'p' must map language codes to texts"),
        ({"id": "x", "q": {}, "p": {"en": "x"}}, "row 2: field 'q' must map language codes to texts"),
        ({"id": "x", "q": {"en": " "}, "p": {"en": "x"}}, "row 2: field 'q', language 'en': must be a text"),
        ({"id": "x", "q": {"en": "x"}, "p": {"en": None}}, "row 2: field 'p', language 'en': must be a text"),
        ({"id": "x", "q": {"en": "x"}, "p": {"en": "x"}, "split": "valid"}, "field 'split': must be one of train, dev"),
        ({"id": "x", "q": {"en": "x"}, "p": {"en": "x"}, "split": ["test"]}, "field 'split': must be one of train"),
        ({"id": "x", "q": {"en": "x"}, "p": {"en": "x"}, "title": "text"}, "field 'title' must map language codes"),
        ({"id": "x", "q": {"en": "x"}, "p": {"en": "x"}, "group": 7}, "field 'group' must be a text"),
    ],
)
def test_a_bad_row_is_named_with_file_line_and_field(row, said, tmp_path):
    path = written(tmp_path, [GOOD[0], row])
    with pytest.raises(UserError) as caught:
        jsonl.read_rows(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(UserError, match="no.jsonl: no such file"):
        jsonl.read_rows(tmp_path / "no.jsonl")
    with pytest.raises(UserError, match="empty.jsonl: holds no rows"):
        jsonl.read_rows(written(tmp_path, [], "empty.jsonl"))


@pytest.mark.parametrize(("zipped", "name"), [(True, "x.jsonl"), (False, "x.jsonl.gz")])
def test_gzip_is_told_by_its_bytes_and_not_by_its_name(zipped, name, tmp_path):
    rows = [{"id": "1", "q": {"en": "why"}, "p": {"en": "so"}}]
    content = json.dumps(rows[0]).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if zipped else content)
    assert jsonl.read_rows(tmp_path / name) == rows


def test_a_damaged_file_is_named(tmp_path):
    rows = [{"id": str(n), "q": {"en": f"{n * n}?"}, "p": {"en": f"{n**3}."}} for n in range(2000)]
    whole = written(tmp_path, rows, "x.jsonl.gz").read_bytes()
    flips = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(20, len(whole), 211)]
    gzipped = [whole[: len(whole) // 2], whole[:-1], *flips]
    cases = [(body, "x.jsonl.gz") for body in gzipped] + [(b'{"id": "caf\xe9"}\n', "x.jsonl")]
    for body, name in cases:
        (tmp_path / name).write_bytes(body)
        with pytest.raises(UserError, match=f"^[^\\n]*{name}[^\\n]*$") as caught:
            jsonl.read_rows(tmp_path / name)
        if body not in flips:  # a flipped byte may also come out as a wrong field
            assert "cannot be read beyond line" in str(caught.value)


# --- parts of a set ---


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sets(st.sampled_from(synthetic.LANGUAGES), min_size=1),
            st.dictionaries(st.sampled_from(synthetic.LANGUAGES), st.sampled_from("uvw"), min_size=1),
        ),
        min_size=1,
        max_size=8,
    ),
    data=st.data(),
)
def test_only_keeps_the_labels_of_what_it_keeps_and_the_whole_pool(rows, data):
    made = [{"id": str(n), "q": {x: f"q{n}{x}" for x in q}, "p": p} for n, (q, p) in enumerate(rows)]
    found = parallel.from_rows("all", made)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    part = found.only(keep, "part")
    assert (part.name, part.pool) == ("part", "all")
    assert part.passages is found.passages
    assert part.questions["id"].tolist() == [str(n) for n in np.flatnonzero(keep)]

    def labels(chosen) -> set:
        query, passage = chosen.queries.iloc[chosen.qrels["query"]], chosen.passages.iloc[chosen.qrels["passage"]]
        ids = chosen.questions["id"].iloc[query["question"]]
        return set(zip(ids, query["language"], query["text"], passage["docid"], strict=True))

    wanted = {
        (row["id"], x, text, y, answer) for row, k in zip(made, keep, strict=True) if k
        for x, text in row["q"].items() for y, answer in row["p"].items()
    }  # fmt: skip
    text = dict(zip(found.passages["docid"], found.passages["text"], strict=True))
    assert {(i, x, q, d.split("-")[0], text[d]) for i, x, q, d in labels(part)} == wanted
    assert labels(part) <= labels(found)
    assert part.qrels.equals(part.qrels.sort_values(["query", "passage"], ignore_index=True))


def test_questions_that_repeat_another_set_are_those_with_an_equal_text_in_the_same_language():
    held = parallel.from_rows("held", [{"id": "h", "q": {"en": "Overview", "de": "Teil"}, "p": {"en": "An answer."}}])
    rows = [
        {"id": "question", "q": {"en": "ＯＶＥＲＶＩＥＷ ", "de": "Anderes"}, "p": {"en": "One."}},
        {"id": "answer", "q": {"en": "Else"}, "p": {"de": "Zwei.", "en": "an  answer."}},
        {"id": "other language", "q": {"de": "Overview"}, "p": {"de": "An answer."}},
        {"id": "swapped", "q": {"en": "An answer."}, "p": {"en": "Overview"}},
        {"id": "longer", "q": {"en": "Overview of it"}, "p": {"en": "Not an answer."}},
    ]
    assert parallel.from_rows("train", rows).repeats(held).tolist() == [True, True, False, False, False]


def test_the_digest_tells_sets_apart_by_text_label_split_and_name():
    rows = synthetic.rows(4)
    digest = parallel.from_rows("x", rows).digest
    assert parallel.from_rows("x", synthetic.rows(4)).digest == digest
    assert parallel.from_rows("y", rows).digest != digest
    for change in ({"id": "z"}, {"split": "dev"}, {"p": {"en": "other"}}, {"q": {"en": "other"}}):
        assert parallel.from_rows("x", [*rows[:3], rows[3] | change]).digest != digest


def test_a_group_is_always_in_the_same_split():
    assert [parallel.split_of(group) for group in ("Harvard University", "Prime number")] == ["test", "train"]
    shares = [parallel.split_of(str(n)) for n in range(5000)]
    assert 0.78 < shares.count("train") / 5000 < 0.82
    assert 0.085 < shares.count("dev") / 5000 < 0.115


@pytest.mark.real_data
def test_the_digest_of_a_released_set_is_kept_while_its_files_and_the_code_that_reads_them_are_the_same(
    real_data, own_folders, monkeypatch
):
    monkeypatch.setattr(outlines, "known", lambda *_: None)  # as of a set whose digest is not tracked

    def found() -> tuple[str, str, list[str]]:
        data._kept.cache_clear()
        digests = data.evaluation_digest("xquad-r-heldout"), data.training_digest("xquad-r", ["mlqa-r", "facts"])
        return *digests, data.training_languages("xquad-r", ["mlqa-r"])

    train = data.training_set("xquad-r", ["mlqa-r"])
    known = data.evaluation_set("xquad-r-heldout").digest, train.digest, train.languages
    assert found() == known and data.training_digest("xquad-r", []) != train.digest
    for name in ("_evaluated", "_trainable"):
        monkeypatch.setattr(data, name, lambda *_: pytest.fail("read again"))
    assert found() == known
    with pytest.raises(pytest.fail.Exception, match="read again"):
        data.evaluation_digest("xquad-r-heldout", "sentence+paragraph")
    with monkeypatch.context() as other_code, pytest.raises(pytest.fail.Exception, match="read again"):
        other_code.setattr(data, "READ_BY", ("base",))
        found()
    published = download.files_of("xquad-r")
    monkeypatch.setattr(download, "files_of", lambda name: published[1:])
    with pytest.raises(pytest.fail.Exception, match="read again"):
        found()


# --- parts of a benchmark: folds for cross-fitting, cut training sets ---


@given(sizes=st.lists(st.integers(1, 9), min_size=5, max_size=40), data_=st.data())
@settings(max_examples=40, deadline=None)
def test_folds_are_whole_groups_of_about_equal_number(sizes, data_):
    groups = [f"page {number}" for number, size in enumerate(sizes) for _ in range(size)]
    splits = {group: data_.draw(st.sampled_from(["train", "dev", "test"])) for group in dict.fromkeys(groups)}
    table = pd.DataFrame({"group": groups, "split": [splits[group] for group in groups]})
    folds = parallel.folds_of(table)
    of = table.assign(fold=folds).groupby("group")["fold"]
    assert (of.nunique() == 1).all()
    trained = table.assign(fold=folds).query("split == 'train'").drop_duplicates("group")["fold"]
    counts = np.bincount(trained, minlength=parallel.FOLDS)
    assert counts.max() - counts.min() <= 1  # groups are dealt out in turn
    shuffled = table.sample(frac=1, random_state=0)
    assert (parallel.folds_of(shuffled) == folds[shuffled.index]).all()


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_each_question_is_in_one_fold_whose_articles_its_model_was_not_trained_on(name, real_data):
    asked = []
    for number in range(parallel.FOLDS):
        part = data.evaluation_set(f"{name}-fold{number}")
        trained = data.training_set(f"{name}-without-fold{number}", ["xquad-r", "mlqa-r"]).questions
        assert not set(part.questions["group"]) & set(trained["group"])
        assert set(trained["split"]) == {"train"} and len(trained) > 500
        assert len(part.passages) == len(lareqa.read(name).passages)  # the full pool
        asked += part.questions["id"].tolist()
    assert sorted(asked) == sorted(lareqa.read(name).questions["id"])


@pytest.mark.real_data
def test_cut_training_sets_have_the_size_and_the_languages_of_mlqa_r(real_data):
    cut = data.training_set("xquad-r-7-languages", ["mlqa-r"])
    whole = data.training_set("xquad-r", ["mlqa-r"])
    assert cut.languages == lareqa.read("mlqa-r").languages and len(cut.questions) == len(whole.questions)
    kept = whole.queries[whole.queries["language"].isin(cut.languages)]
    assert cut.queries["text"].tolist() == kept["text"].tolist()
    answers = cut.passages["text"].to_numpy()[cut.qrels["passage"]]
    assert set(answers) <= set(whole.passages["text"].to_numpy()[whole.qrels["passage"]])
    assert whole.passage_rows[:, [whole.languages.index(x) for x in cut.languages]].shape == cut.passage_rows.shape
    docs = data.training_set("parallel-docs-900-questions", ["mlqa-r"]).questions
    assert len(docs) == 900 and set(docs["id"]) <= set(data.training_set("parallel-docs", ["mlqa-r"]).questions["id"])
