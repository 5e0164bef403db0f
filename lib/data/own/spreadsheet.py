"""Questions and answers as spreadsheets hold them, CSV or TSV, read as rows of parallel JSONL.

Two shapes are known by their headers: a column a language (``question_en, answer_en, question_de, ...``), or a row a
language (``id, language, question, answer``), where the rows of one id are one question. What was read is said in one
line; whatever is wrong is told with file, row and column, rows being numbered as a spreadsheet does: the header is 1.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ...base.errors import UserError
from .. import jsonl
from ..jsonl import Meaning, Row
from ..sets import alike
from . import delimited

ENDINGS = (".csv", ".tsv")
SIDES = {
    "q": ("question", "query", "q"), "p": ("answer", "passage", "p"), "n": ("negative", "n"), "title": ("title",),
}  # fmt: skip
PLAIN = {"id": ("id",), "language": ("language", "lang"), "group": ("group",), "split": ("split",)}
MEANING = {name: key for known in (SIDES, PLAIN) for key, names in known.items() for name in names}
SIDE = "|".join(sorted((name for names in SIDES.values() for name in names), key=len, reverse=True))
HEADER = re.compile(
    rf"(?P<side>{SIDE})[\s_.:/([-]+(?P<code>[a-z0-9_-]+)[)\]]?|(?P<first>[a-z0-9_-]+)[\s_.:/-]+(?P<last>{SIDE})"
)
# Ends of headers that are codes of languages, and usual names of something else; sc and ulw are how src, sum are read.
WORDS = re.compile(
    "all|ans|bot|cat|dim|doc|ext|id|idx|img|int|job|key|lab|len|loc|map|max|min|new|no|nr|num|old|one|out|pid|pos|qid|raw"
    "|ref|row|run|sc|set|sha|str|sub|tag|tel|to|top|ts|two|uid|ulw|uri|url|use|val|ver|web"
)
NO_TEXTS = {
    "numbers": re.compile(r"\W*\d[\W\d]*([eE][+-]?\d+)?"),
    "addresses": re.compile(r"(\w+://|www\.)\S+"),
    "truth values": re.compile("true|false|wahr|falsch|vrai|faux|verdadero|falso|yes|no|y|n", re.IGNORECASE),
}
# What writers put where nothing is, in their own capitals: Na is sodium, and na a word of several languages.
ABSENT = (
    "", "nan", "NaN", "-nan", "-NaN", "NaT", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "None", "none", "null", "Null",
    "NULL", r"\N",
)  # fmt: skip
# What a spreadsheet shows in place of a formula's value, and of a long number that it took an id for.
FAULTS = re.compile(r"#(REF|NAME|VALUE|ERROR|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED)[!?]|Loading\.\.\.")
ROUNDED = re.compile(r"-?\d[.,]\d+E[+-]?\d+|-?\dE\+\d+", re.IGNORECASE)
CODES = {"nan": "; Min Nan is nan-TW here", "NA": "; Nauru is na here"}  # what would else be codes of languages
RIGHT = (
    "right is id, language, question, answer, or a column a language: question_en, answer_en, question_de, answer_de"
)


@dataclass
class Sheet:
    """A file, its header, its other rows with their numbers, and what is known of its columns by their place."""

    path: Path
    header: list[str]
    body: list[tuple[int, list[str]]]
    columns: dict[int, Meaning] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        return any(key == known for known, _ in self.columns.values())

    def wrong(self, what: str, row: int = 1, column: int | str | None = None) -> UserError:
        """A mistake with its place; a column without a header has a number."""
        where = "" if column is None else f", column {column}" if isinstance(column, int) else f", column '{column}'"
        return UserError(f"{self.path}, row {row}{where}: {what}")


def is_one(path: Path) -> bool:
    """Whether a file is a table, by its name."""
    return path.name.lower().removesuffix(".gz").endswith(ENDINGS)


def read(path: Path) -> tuple[list[Row], str]:
    """The questions of a table, and a line that says what was read.

    Raises:
        UserError: naming the file, the row and the column.
    """
    delimiter, cells = delimited.read(path, lambda header: _meaning(header) is not None)
    if len(cells) < 2:
        raise UserError(f"{path}: holds no rows")
    sheet = Sheet(path, [alike(name) for name in cells[0][1]], cells[1:])
    sheet.columns = _columns(sheet)
    _check_texts(sheet)
    rows = _rows(sheet)
    counts = Counter(x for row in rows for x in row.content["q"].keys() | row.content["p"].keys())
    languages = ", ".join(f"{x} {count:,}" for x, count in sorted(counts.items()))
    read_ = ", ".join(sheet.header[n] for n in sheet.columns)
    said = f"a table of {len(rows):,} questions in {len(counts)} languages ({languages}); "
    said += f"columns {read_}, set apart by {delimited.DELIMITERS[delimiter]}"
    if sheet.has("language") and not sheet.has("id"):
        said += "; without a column id no row is a translation of another"
    unread = [f"'{name}'" for n, name in enumerate(sheet.header) if name and n not in sheet.columns]
    return rows, said + (f"; nobody reads {', '.join(unread)}" if unread else "")


def _meaning(header: str) -> Meaning | None:
    """What a column holds; None where nobody reads it."""
    name = alike(header).lower()
    if name in MEANING:
        return MEANING[name], None
    if not (found := HEADER.fullmatch(name)):
        return None
    code = jsonl.canonical(found["code"] or found["first"])
    return (MEANING[found["side"] or found["last"]], code) if jsonl.is_language(code) else None


def _columns(sheet: Sheet) -> dict[int, Meaning]:
    """What each column holds, of those that are read; refused if that is not one of the two shapes."""
    columns = {n: meaning for n, name in enumerate(sheet.header) if (meaning := _meaning(name))}
    first: dict[Meaning, int] = {}
    for n, meaning in columns.items():
        if (same := first.setdefault(meaning, n)) != n:
            what = f"it means what column '{sheet.header[same]}' does; one of them is right"
            raise sheet.wrong(what, column=sheet.header[n])
    keys = {key for key, _ in columns.values()}
    if not {"q", "p"} <= keys:
        found = ", ".join(f"'{name}'" for name in sheet.header if name)
        raise sheet.wrong(f"no columns of questions and answers; {RIGHT}; found: {found}")
    bare = [n for n, (key, code) in columns.items() if key in SIDES and code is None]
    coded = [n for n, (_, code) in columns.items() if code]
    if coded and (bare or "language" in keys):
        other = sheet.header[bare[0]] if bare else "language"
        raise sheet.wrong(f"it is of another shape than '{other}'; {RIGHT}", column=sheet.header[coded[0]])
    if not coded and "language" not in keys:
        raise sheet.wrong(f"in which language? {RIGHT}", column=sheet.header[bare[0]])
    return columns


def _check_texts(sheet: Sheet) -> None:
    """Refuse columns of numbers, addresses or ids that are called as texts in a language are, such as question_id.

    In a language with questions, answers may be numbers or single words: what is asked may be a year, or a name.
    """
    wrong = {column: what for column in sheet.columns if (what := _no_texts(sheet, column))}
    asked = {code for column, (key, code) in sheet.columns.items() if key == "q" and column not in wrong}
    for column in sorted(wrong, key=lambda place: sheet.columns[place][0] != "n"):
        name, (key, code) = sheet.header[column], sheet.columns[column]
        if key == "n":
            what = f"holds {wrong[column]} alone; n is a passage that does not answer the question"
            raise sheet.wrong(f"{what}, to be told from the right one: give the column another name", column=name)
        if code not in asked:
            what = f"holds {wrong[column]} alone, and no texts in the language '{code}'"
            raise sheet.wrong(f"{what}; call a column of ids id, and others without question or answer", column=name)


def _no_texts(sheet: Sheet, column: int) -> str | None:
    """What a column of a language holds in place of texts; None if it has texts, or nothing."""
    key, code = sheet.columns[column]
    cells = (row[column].strip() for _, row in sheet.body if column < len(row))
    values = [cell for cell in cells if cell not in ABSENT]
    if not (code or key == "n") or not values:
        return None
    found = (name for name, form in NO_TEXTS.items() if all(map(form.fullmatch, values)))
    named = [code, re.split(r"\W|_", sheet.header[column].strip())[-1].casefold()]  # cat, which is read as ca
    is_word = code and any(map(WORDS.fullmatch, named)) and not any(re.search(r"\s", value) for value in values)
    return next(found, "ids or words without a space" if is_word else None)


def _rows(sheet: Sheet) -> list[Row]:
    """The questions: a row each, or, where a row is one language of it, those of one id together."""
    rows: dict[str, Row] = {}
    for number, cells in sheet.body:
        values = _values(sheet, number, cells)
        id_, language = (values.pop((key, None), ("", ""))[0] for key in ("id", "language"))
        if sheet.has("id") and (what := _no_id(id_)):
            raise sheet.wrong(what, number, "id")
        key = id_ or f"row-{number}"
        if sheet.has("language"):
            language = _language(sheet, number, language)
        elif key in rows:
            raise sheet.wrong(f"'{key}' occurs twice; ids must differ", number, "id")
        row = rows.setdefault(key, Row(number, {"id": key, "q": {}, "p": {}}))
        for (field_, code), (value, column) in values.items():
            _put(sheet, row, number, (field_, code or language if field_ in SIDES else None), value, column)
    for row in rows.values():
        for side, what in (("q", "question"), ("p", "answer")):
            if not row.content[side]:
                raise sheet.wrong(f"'{row.content['id']}' has no {what} in any language; leave it out", row.number)
    return list(rows.values())


def _no_id(given: str) -> str | None:
    """What is wrong with an id that different questions may share by mistake."""
    if not given:
        return "is empty; each row needs one"
    if given in ABSENT:
        return f"'{given}' stands for a value that is missing; each question needs an id of its own"
    if ROUNDED.fullmatch(given):
        return f"'{given}' is a number that a spreadsheet has rounded; write ids anew, in a column of the format text"
    return None


def _values(sheet: Sheet, number: int, cells: list[str]) -> dict[Meaning, tuple[str, str]]:
    """The values of a row, without empty ones, with the columns that they stand in."""
    values = {}
    for n, cell in enumerate(cells):
        if cell.strip() and not (n < len(sheet.header) and sheet.header[n]):
            what = f"'{cell.strip()[:40]}' stands under no header; is a text with a comma not in quotation marks?"
            raise sheet.wrong(what, number, n + 1)
        if n in sheet.columns and FAULTS.fullmatch(alike(cell)):
            what = f"'{alike(cell)}' is what a formula shows that went wrong, and no text; mend or empty it"
            raise sheet.wrong(what, number, sheet.header[n])
        if n in sheet.columns and cell.strip():
            value = cell if sheet.columns[n][0] in SIDES else alike(cell)
            values[sheet.columns[n]] = (value, sheet.header[n])
    return values


def _language(sheet: Sheet, number: int, given: str) -> str:
    code = jsonl.canonical(given)
    if given in ABSENT:
        raise sheet.wrong(f"is missing; each row needs one{CODES.get(given, '')}", number, "language")
    if not jsonl.is_language(code):
        what = f"'{given}' is no language code; right is ISO 639 in small letters, such as en, zh or pt-BR"
        raise sheet.wrong(what, number, "language")
    return code


def _put(sheet: Sheet, row: Row, number: int, meaning: Meaning, value: str, column: str) -> None:
    """Give a value its place in a question; refused if another stands there."""
    key, language = meaning
    target = row.content.setdefault(key, {}) if language else row.content
    name = language or key
    if alike(target.setdefault(name, value)) != alike(value):
        other, _ = row.places[meaning]
        what = f"row {other} says otherwise of '{row.content['id']}'"
        if language:
            what += f" in {language}; give each of several right answers an id of its own"
        raise sheet.wrong(what, number, column)
    row.places.setdefault(meaning, (number, column))
