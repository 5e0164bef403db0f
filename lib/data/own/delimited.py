"""Files of cells set apart by commas, semicolons, tabs or bars, as spreadsheets save them: rows, and their numbers."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from ...base.errors import UserError
from .. import jsonl

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAVE = "save it as UTF-8; in Excel: Save as, 'CSV UTF-8'"


def _content(path: Path) -> str:
    """The text of a file, plain or gzipped."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError as error:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"{path}: no such file{where}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if content[:4] == b"PK\3\4":
        raise UserError(f"{path}: is a workbook under another name; {SAVE}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is UTF-16, as 'Unicode text' of Excel is; {SAVE}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: is not UTF-8 ({error.reason}); {SAVE}") from error


def read(path: Path, is_known: Callable[[str], bool]) -> tuple[str, list[tuple[int, list[str]]]]:
    """The delimiter, and the numbered rows that are not empty; the first is the header.

    Args:
        is_known: whether a header is understood, by which the delimiter is told.

    Raises:
        UserError: naming the file and, of what cannot be read, the row.
    """
    text = _content(path)
    csv.field_size_limit(4 * jsonl.LONGEST)  # what is too long is told later, with its column
    number = 1
    if named := re.match(r"sep=(.)\r?\n", text):  # a line for Excel alone
        text, number = text[named.end() :], 2
    delimiter = named[1] if named and named[1] in DELIMITERS else _delimiter(path, text, is_known)
    lines = list(io.StringIO(text, newline=""))
    rows, read_, reader = [], 0, csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for number, row in enumerate(reader, start=number):  # noqa: B020 - the handler below reads it
            if any(cell.strip() for cell in row):
                rows.append((number, row))
                if _is_joined(row, lines[read_ : reader.line_num], delimiter, len(rows[0][1])):
                    what = "quotation marks join cells here, and without them each line is a whole row"
                    raise UserError(f"{path}, row {number}: {what}; double those of a text, as spreadsheets do")
            read_ = reader.line_num
    except csv.Error as error:
        begins = f"after row {number}" if rows else "row 1"
        what = "a quotation mark is not closed, or stands within a text without being doubled"
        what = "a cell is too long" if "field limit" in str(error) else what
        raise UserError(f"{path}, {begins}: {what} ({error})") from error
    return delimiter, rows


def _is_joined(row: list[str], lines: list[str], delimiter: str, columns: int) -> bool:
    """Whether quotation marks that belong to texts may have joined cells: read without them, every line is complete.

    A comma with a blank after it is one of the text, unless the row has such blanks between its cells too.
    """
    after = [rest[:1] for cell in row for rest in cell.split(delimiter)[1:]]
    is_text = all(letter == " " for letter in after) and not any(cell.startswith(" ") for cell in row)
    return bool(after) and not is_text and all(line.count(delimiter) + 1 == columns for line in lines)


def _delimiter(path: Path, text: str, is_known: Callable[[str], bool]) -> str:
    """What sets cells apart: with it most headers are understood; if none is, what the file's name says."""
    usual = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    return max(DELIMITERS, key=lambda mark: (sum(map(is_known, _header(text, mark))), mark == usual))


def _header(text: str, mark: str) -> list[str]:
    """The first row that is not empty, if this mark sets cells apart; within quotation marks a line may end."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        return next((row for row in rows if any(cell.strip(" ,;\t|") for cell in row)), [])
    except csv.Error:  # a quotation mark is not closed, which is told when all is read
        return []
