"""What is promised of CSV and TSV: the same rows as JSONL, whatever a spreadsheet does; mistakes have a place."""

import csv
import gzip
import io
import json
import unicodedata

import pytest
import synthetic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.base import paths
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data.own import rows as own_rows
from lib.data.own import spreadsheet
from lib.interop import audit

LANGUAGES = ("ar", "de", "en", "pt-BR", "zh")
LONG = ("id", "language", "question", "answer")
# What people type and spreadsheets find hard; blanks alone are nothing, and are left out of JSONL too.
CELL = st.text(st.sampled_from("aB7é?\"',;\t|\n\r =+-@ش中\u00a0'"), min_size=1, max_size=12).map(
    lambda text: f"x{text}x"
)


def write(path, header, rows, delimiter=",", encoding="utf-8", ends="\r\n", before=""):
    """A table as a spreadsheet writes it."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=ends).writerows([header, *rows])
    path.write_bytes((before + text.getvalue()).encode(encoding))
    return path


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def wide(rows):
    """Header and rows with a column a language."""
    columns = [(side, x) for x in LANGUAGES for side in "qp"]
    names = {"q": "question", "p": "answer"}
    header = ["id", *(f"{names[side]}_{x}" for side, x in columns), "group", "split"]
    return header, [
        [row["id"], *(row[side].get(x, "") for side, x in columns), row.get("group", ""), row.get("split", "")]
        for row in rows
    ]


def long(rows):
    """Header and rows with a row a language."""
    header = [*LONG, "group", "split"]
    return header, [
        [row["id"], x, row["q"].get(x, ""), row["p"].get(x, ""), row.get("group", ""), row.get("split", "")]
        for row in rows
        for x in LANGUAGES
        if x in row["q"] or x in row["p"]
    ]


TEXTS = st.dictionaries(st.sampled_from(LANGUAGES), CELL, min_size=1)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"q": TEXTS, "p": TEXTS},
        optional={"group": st.sampled_from(["a", "b c"]), "split": st.sampled_from(["train", "dev", "test"])},
    ),
    min_size=1,
    max_size=5,
).map(lambda rows: [{"id": f"page-{number}#1", **row} for number, row in enumerate(rows)])


@given(
    ROWS, st.sampled_from([wide, long]), st.sampled_from(",;\t|"), st.sampled_from(["mine.csv", "mine.tsv", "mine.CSV"])
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_are_the_same_set_as_a_table(tmp_path, rows, shape, delimiter, name):
    header, cells = shape(rows)
    table = write(tmp_path / name, header, cells, delimiter, encoding="utf-8-sig")
    try:
        right = own_rows.read(write_jsonl(tmp_path / "mine.jsonl", rows))[0]
    except UserError as refused:  # two rows ask the same in two splits
        assert "a question is in one split" in str(refused)
        with pytest.raises(UserError, match="a question is in one split"):
            own_rows.read(table)
        return
    found, said = own_rows.read(table)
    assert found == right
    assert said.startswith(f"a table of {len(rows)} questions in ")
    for make in (own_rows.evaluation, own_rows.training):
        assert make("mine", found).digest == make("mine", right).digest


@pytest.mark.parametrize("delimiter", "\t;")
def test_quotation_marks_of_texts_join_no_cells(tmp_path, delimiter):
    """Written without quoting: one text begins with a mark, one of a later cell or row ends with one."""
    header = ["id", "question_en", "answer_en", "question_de", "answer_de"]
    right = [["1", "Who?", "He did.", "Wer?", "Er."], ["2", "When?", "In May.", "Wann?", "Im Mai."]]
    for first, last in (((0, 2), (1, 2)), ((0, 1), (0, 3))):
        rows = [list(row) for row in right]
        rows[first[0]][first[1]] = '"' + rows[first[0]][first[1]]
        rows[last[0]][last[1]] += '"'
        path = tmp_path / "faq.csv"
        path.write_text("\n".join(delimiter.join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
        with pytest.raises(UserError, match="row 2: quotation marks join cells here, and without them each line is"):
            own_rows.read(path)
    quoted = [right[0], ["2", f"When{delimiter} and\nwhere?", f"In May{delimiter} here.", "Wann?", ""]]
    found, _ = own_rows.read(write(tmp_path / "right.csv", header, quoted, delimiter))
    assert [row["q"]["en"] for row in found] == ["Who?", f"When{delimiter} and\nwhere?"]


def test_what_was_read_is_one_line(tmp_path, capsys):
    rows = [["1", "Is it open?", "Yes, it is.", "Offen?", "Ja.", "x"], ["2", "Is it free?", "No.", "", "Nein.", ""]]
    header = ["ID", "Question EN", "answer (en)", "de_question", "Answer-DE", "notes"]
    data.evaluation_set(str(write(tmp_path / "faq.csv", header, rows, ";")))
    said = capsys.readouterr().err
    assert said == (
        f"{tmp_path / 'faq.csv'}: a table of 2 questions in 2 languages (de 2, en 2); columns ID, Question EN, "
        "answer (en), de_question, Answer-DE, set apart by semicolons; nobody reads 'notes'\n"
    )


def test_a_table_goes_where_jsonl_goes_and_is_called_without_its_ending(tmp_path, capsys):
    rows = synthetic.rows(8, ("de", "en"))
    header, cells = wide(rows)
    table = write(tmp_path / "mine.csv", header, cells)
    (tmp_path / "mine.tsv.gz").write_bytes(gzip.compress(write(tmp_path / "x", header, cells, "\t").read_bytes()))
    jsonl = write_jsonl(tmp_path / "mine.jsonl", rows)
    sets = [data.evaluation_set(str(path)) for path in (table, tmp_path / "mine.tsv.gz", jsonl)]
    assert len({found.digest for found in sets}) == 1
    assert {paths.called(str(path)) for path in (table, tmp_path / "mine.tsv.gz", jsonl)} == {"mine"}
    assert data.training_digest(str(table), []) == data.training_digest(str(jsonl), [])
    assert data.is_own(f"{table}-heldout") and data.label(f"{table}-heldout") == "mine (held-out)"
    assert audit.main(["--encoder", "static", "--eval", str(table)]) == 0
    assert "mine" in capsys.readouterr().out


# --- what spreadsheets do


@pytest.mark.parametrize(
    "more",
    [
        {"encoding": "utf-8-sig"}, {"delimiter": ";"}, {"delimiter": ";", "before": "sep=;\r\n"}, {"ends": "\n"},
        {"ends": "\r"}, {"delimiter": "\t"},
    ],
)  # fmt: skip
def test_what_a_spreadsheet_adds_changes_nothing(tmp_path, more):
    rows = [["7", "en", 'A "quoted", word;\nand a line\tmore', "Yes", "", ""], [""] * 6, ["7", "de", "Eins;zwei", "Ja"]]
    found, _ = own_rows.read(write(tmp_path / "mine.csv", [*LONG, "", ""], [*rows, ["", "", ""]], **more))
    assert found == [{"id": "7", "q": {"en": rows[0][2], "de": "Eins;zwei"}, "p": {"en": "Yes", "de": "Ja"}}]


def test_without_ids_rows_are_told_apart_by_their_numbers(tmp_path):
    table = write(tmp_path / "mine.csv", LONG[1:], [["en", "a b?", "c"], ["de", "d e?", "f"]])
    found, said = own_rows.read(table)
    assert [row["id"] for row in found] == ["row-2", "row-3"]
    assert "without a column id no row is a translation of another" in said


@pytest.mark.parametrize(
    ("header", "rows", "place", "what"),
    [
        (["a", "b"], [["1", "2"]], "row 1", "no columns of questions and answers; right is id, language, question"),
        (["question", "answer"], [["a b?", "c"]], "row 1, column 'question'", "in which language?"),
        (["language", "question", "answer_en"], [["en", "a b?", "c"]], "row 1, column 'answer_en'", "of another shape"),
        (["question_en", "answer_en", "Question EN"], [["a?", "b", "c"]], "row 1, column 'Question EN'", "means"),
        (["question_id", "question_en", "answer_en"], [["f-1", "a?", "b"]], "row 1, column 'question_id'", "ids"),
        (["question_id", "question_en", "answer_en"], [["slug-alpha", "a?", "b"]], "column 'question_id'", "ids"),
        (["question_en", "answer_en", "answer_url"], [["a?", "b", "www.x.y/1"]], "column 'answer_url'", "addresses"),
        (["question_en", "answer_en", "answer_src"], [["a?", "b", "wiki"]], "column 'answer_src'", "without a space"),
        (["q_en", "p_en", "question_cat"], [["a?", "b", "billing"]], "column 'question_cat'", "without a space"),
        (["q_en", "p_en", "question_set"], [["a?", "b", "dev"]], "column 'question_set'", "without a space"),
        (["q_en", "p_en", "answer_is"], [["a?", "b", "TRUE"], ["c?", "d", "false"]], "'answer_is'", "truth values"),
        (["q_en", "p_en", "q_len", "p_len"], [["a?", "b", "2", "1.5"]], "column 'q_len'", "holds numbers alone"),
        (["q_en", "p_en", "p_eu"], [["a?", "b", "-1e-05"], ["c?", "d", "nan"]], "column 'p_eu'", "holds numbers"),
        (LONG, [["1", "nan", "a b?", "c"]], "row 2, column 'language'", "is missing; each row needs one; Min Nan is"),
        (LONG, [["1", "NA", "a b?", "c"]], "row 2, column 'language'", "is missing; each row needs one; Nauru is na"),
        (LONG, [["1", "none", "a b?", "c"]], "row 2, column 'language'", "is missing"),
        (LONG, [["1", "", "a b?", "c"]], "row 2, column 'language'", "is missing"),
        (LONG, [["1", "English", "a b?", "c"]], "row 2, column 'language'", "'English' is no language code"),
        (LONG, [["1", "en", "a b?", "c"], ["", "de", "d", "e"]], "row 3, column 'id'", "is empty"),
        (LONG, [["1", "en", "a b?", "c"], ["1", "en", "d", "e"]], "row 3, column 'question'", "row 2 says otherwise"),
        (LONG, [["1", "en", "a b?", "c"], ["1", "de", "d\0", "e"]], "row 3, column 'question'", "U+0000, which"),
        (LONG, [["#N/A", "en", "a b?", "c"]], "row 2, column 'id'", "'#N/A' stands for a value that is missing; each"),
        (LONG, [["1", "en", "a b?", "c"], ["nan", "en", "d", "e"]], "row 3, column 'id'", "'nan' stands for a value"),
        (LONG, [["1.23457E+12", "en", "a b?", "c"]], "row 2, column 'id'", "a number that a spreadsheet has rounded"),
        (LONG, [["1,2e+12", "en", "a b?", "c"]], "row 2, column 'id'", "is a number that a spreadsheet has rounded"),
        (LONG, [["1E+12", "en", "a b?", "c"]], "row 2, column 'id'", "is a number that a spreadsheet has rounded"),
        (LONG, [["1", "en", "a b?", "c"], ["2", "en", "d", "#REF!"]], "row 3, column 'answer'", "'#REF!' is what a"),
        (LONG, [["#NAME?", "en", "a b?", "c"]], "row 2, column 'id'", "'#NAME?' is what a formula shows"),
        (LONG, [["1", "en", " #DIV/0! ", "c"]], "row 2, column 'question'", "'#DIV/0!' is what a formula shows"),
        (["question_en", "answer_en"], [["a?", "Loading..."]], "row 2, column 'answer_en'", "'Loading...' is what a"),
        (LONG, [["1", "en", "a b?", ""]], "row 2", "'1' has no answer in any language"),
        (LONG, [["1", "en", "a b?", "c", "d"]], "row 2, column 5", "'d' stands under no header"),
        ([*LONG, "split"], [["1", "en", "a b?", "c", "trian"]], "row 2, column 'split'", "must be one of train, dev"),
        (["id", "question_en", "answer_en"], [["1", "a?", "b"], [], ["1", "c?", "d"]], "row 4, column 'id'", "twice"),
        (["question_en", "answer_en"], [["a b?", "c" * 1_000_001]], "row 2, column 'answer_en'", "at most 1,000,000"),
        (LONG, [], "mine.csv", "holds no rows"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_row_and_column(tmp_path, header, rows, place, what):
    with pytest.raises(UserError) as told:
        own_rows.read(write(tmp_path / "mine.csv", header, rows))
    assert str(told.value).startswith(str(tmp_path / "mine.csv")) and "\n" not in str(told.value)
    assert f"{place}: " in str(told.value) and what in str(told.value)


def test_codes_that_look_like_nothing_are_languages(tmp_path):
    texts = {"na": ("a b?", "c d"), "no": ("e f?", "g h"), "NO": ("i j?", "NA")}
    rows = [[str(n), code, *of] for n, (code, of) in enumerate(texts.items())]
    rows[2][0] = rows[0][0]
    found, said = own_rows.read(write(tmp_path / "mine.csv", LONG, rows))
    assert found[0] == {"id": "0", "q": {"na": "a b?", "no": "i j?"}, "p": {"na": "c d"}} and "1 absent texts" in said
    header = [f"{side}_{code}" for code in ("na", "no") for side in ("question", "answer")]
    found, _ = own_rows.read(write(tmp_path / "wide.csv", header, [["a b?", "c d", "e f?", "g h"]]))
    assert found[0]["p"] == {"na": "c d", "no": "g h"}


def test_answers_may_be_numbers_or_names_where_texts_ask_for_them(tmp_path):
    header = ["question_id", "answer_id", "question_en", "answer_en"]
    found, _ = own_rows.read(write(tmp_path / "mine.csv", header, [["Di mana kantor?", "Jakarta", "When?", "1945"]]))
    assert found[0]["p"] == {"id": "Jakarta", "en": "1945"}
    header = ["question_ca", "answer_ca", "question_is", "answer_is"]
    found, _ = own_rows.read(write(tmp_path / "yes.csv", header, [["On és?", "Barcelona", "Er það satt?", "no"]]))
    assert found[0]["p"] == {"ca": "Barcelona", "is": "no"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "holds no rows"),
        ("question_en,answer_en\nCaf\xe9?,x\n".encode("latin-1"), "line 2: is not UTF-8"),
        ("question_en,answer_en\na?,x\n".encode("utf-16"), "is UTF-16"),
        (b"PK\3\4 and so on", "is a workbook under another name; save it as UTF-8; in Excel: Save as, 'CSV UTF-8'"),
        (b'question_en,answer_en\n"a b?,c\nd,e\n', "after row 1: a quotation mark is not closed"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_text_ends_in_one_line(tmp_path, content, what):
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(UserError, match="mine.csv") as told:
        spreadsheet.read(tmp_path / "mine.csv")
    assert what in str(told.value) and "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no.csv: no such file"):
        data.evaluation_set(str(tmp_path / "no.csv"))


def test_a_column_n_that_counts_is_no_passage(tmp_path):
    header, rows = long(synthetic.rows(6, LANGUAGES))
    path = write(tmp_path / "counted.csv", [*header, "n"], [[*row, number % 5] for number, row in enumerate(rows)])
    with pytest.raises(UserError, match="'n'.*holds numbers alone; n is a passage that does not answer the question"):
        spreadsheet.read(path)


@pytest.mark.parametrize("name", ["answer_is_correct", "answer_de_source", "answer_en_old", "answer_in_english"])
def test_a_column_that_is_named_like_a_text_but_for_its_language_is_not_read(tmp_path, name):
    header, rows = wide(synthetic.rows(6, LANGUAGES))
    path = write(tmp_path / "wide.csv", [*header, name], [[*row, ("yes", "no")[n % 2]] for n, row in enumerate(rows)])
    found, said = spreadsheet.read(path)
    assert {code for row in found for code in row.content["q"]} == set(LANGUAGES)
    assert {code for row in found for code in row.content["p"]} == set(LANGUAGES)
    assert f"nobody reads '{name}'" in said


def test_an_id_is_one_in_whatever_form_its_rows_are_written(tmp_path):
    """A name of a file on macOS has its accents apart (NFD); a table of one id in both forms is one question."""
    rows = [[f"Café {n}", x, f"{x} question {n}?", f"{x} answer {n}.", "thé"] for n in range(4) for x in ("de", "en")]
    right, _ = own_rows.read(write(tmp_path / "right.csv", [*LONG, "group"], rows))
    for row in rows[1::2]:
        row[0], row[4] = unicodedata.normalize("NFD", row[0]), unicodedata.normalize("NFD", row[4])
    found, _ = own_rows.read(write(tmp_path / "mine.csv", [*LONG, "group"], rows))
    assert found == right and len(found) == 4 and set(found[0]["p"]) == {"de", "en"}
    twice = [["Café", "a?", "b"], [unicodedata.normalize("NFD", "Café"), "c?", "d"]]
    with pytest.raises(UserError, match="row 3, column 'id': 'Café' occurs twice"):
        own_rows.read(write(tmp_path / "wide.csv", ["id", "question_en", "answer_en"], twice))


def test_ids_that_look_like_numbers_are_ids(tmp_path):
    ids = ["12E3", "1.5", "3-1E-2", "12345678901234567890", "1e5", "na"]
    found, _ = own_rows.read(write(tmp_path / "mine.csv", LONG, [[x, "en", f"a {x}?", f"b {x}"] for x in ids]))
    assert [row["id"] for row in found] == ids


def test_a_territory_in_figures_is_one_in_a_header_too(tmp_path):
    header = ["question_es-419", "answer_es_419", "en_question", "answer en", "answer_2", "question_en_2"]
    found, said = own_rows.read(write(tmp_path / "mine.csv", header, [["a b?", "c", "d e?", "f", "x", "y"]]))
    assert found[0]["p"] == {"es-419": "c", "en": "f"} and found[0]["q"] == {"es-419": "a b?", "en": "d e?"}
    assert said.endswith("nobody reads 'answer_2', 'question_en_2'")


@pytest.mark.parametrize("delimiter", ",;\t|")
def test_a_line_may_end_within_a_header(tmp_path, delimiter):
    header = ["Question\n(EN)", "Answer\n(EN)", "Notes,\nold; new"]
    found, said = own_rows.read(write(tmp_path / "mine.csv", header, [["a b?", "c\nd", ""]], delimiter))
    assert found[0]["q"] == {"en": "a b?"} and found[0]["p"] == {"en": "c\nd"}
    assert "columns Question (EN), Answer (EN), set apart" in said and "\n" not in said


def test_a_row_may_end_early_whatever_commas_its_texts_hold(tmp_path):
    path = tmp_path / "mine.csv"
    header = "id,question_en,answer_en,question_de,answer_de,group\n"
    path.write_text(f'{header}1,"Who, when?",A.,W?,A.\n2,"Where, and, why?","B, b."\n', encoding="utf-8")
    found, _ = own_rows.read(path)
    assert [row["q"]["en"] for row in found] == ["Who, when?", "Where, and, why?"]
    assert found[0]["p"] == {"en": "A.", "de": "A."} and found[1]["p"] == {"en": "B, b."}
    path.write_text(f'{header}"1, Who?, A., W?", A., g\n', encoding="utf-8")  # written with blanks, without quoting
    with pytest.raises(UserError, match="row 2: quotation marks join cells here"):
        own_rows.read(path)


def test_a_column_that_is_called_as_an_answer_in_no_language_is_said(tmp_path):
    rows = [[f"a {n}?", f"b {n}", f"It is c {n}."] for n in range(3)]
    found, said = own_rows.read(write(tmp_path / "mine.csv", ["question_en", "answer_en", "gpt_answer"], rows))
    assert set(found[0]["p"]) == {"en", "gpt"} and said.endswith("; Unicode CLDR knows no language gpt; is it one?")
