"""Parallel JSONL, the exchange format: one question a row, ``{"id", "q": {lang: text}, "p": {lang: text}}``.

Whatever is wrong with a file or a row is told with its place and with what would be right.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..base.errors import UserError
from .sets import SPLITS

LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Za-z0-9]{2,8})*")
CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of pairs that have no UTF-8
LONGEST = 1_000_000  # characters of a text; an encoder sees the first 500 words
FIELD = re.compile(r"field '(\w+)'(?:, language '([^']*)')?:? (.*)", re.DOTALL)  # as problems of rows begin
Meaning = tuple[str, str | None]  # a key of JSONL's rows and, of a text, its language


@dataclass
class Row:
    """A question, the row of the file in which it begins, and where each of its values stands: row and column."""

    number: int
    content: dict
    places: dict[Meaning, tuple[int, str]] = field(default_factory=dict)

    def told(self, problem: str) -> str:
        """A problem of a field with its place: of a table, ``row 7, column 'answer_de': ...``."""
        found = FIELD.match(problem)
        for (key, language), (number, column) in self.places.items() if found else ():
            if key == found[1] and found[2] in (None, language):
                return f"row {number}, column '{column}': {found[3]}"
        return f"row {self.number}: {problem}"


def read_rows(path: Path) -> list[dict]:
    """Read parallel JSONL, plain or gzipped.

    Optional keys of a row: ``n`` ({lang: text}, in the languages of ``p``: passages that do not answer the question;
    in all rows or in none), ``title`` ({lang: text}, put before the query), ``group`` (rows of one group stay in
    one split; without it, the part of the id before ``#``) and ``split`` (train, dev or test).

    Raises:
        UserError: naming the file, the line and the field.
    """
    rows: dict[str, dict] = {}
    for number, row in enumerate(read_lines(path), start=1):
        if wrong := problem(row, rows):
            raise UserError(f"{path}, row {number}: {wrong}")
        rows[row["id"]] = row
    if not rows:
        raise UserError(f"{path}: holds no rows")
    return list(rows.values())


def read_lines(path: Path, keys_once: bool = False) -> Iterator[dict]:
    """JSON objects of a JSONL file, plain or gzipped, whatever its name says; damage is reported with file and line.

    Args:
        keys_once: whether an object in which a key occurs twice is refused; else the last one counts.
    """
    number = 0  # the last line that could be read
    try:
        opened = gzip.open if _is_gzipped(path) else open
        with opened(path, "rt", encoding="utf-8-sig") as file:  # which is UTF-8, with or without its mark
            for number, line in enumerate(file, start=1):  # noqa: B007 - the handlers below read it
                if line.strip():
                    yield json.loads(line, object_pairs_hook=_once if keys_once else None)
    except FileNotFoundError as error:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"{path}: no such file{where}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read beyond line {number} ({error}); save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None):  # the system's word: a folder, or not allowed
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        raise UserError(f"{path}: cannot be read beyond line {number} ({error}); is it truncated?") from error
    except (ValueError, RecursionError) as error:  # ValueError alone for a number of too many digits
        reason = getattr(error, "msg", error)
        raise UserError(f"{path}, line {number}: not a JSON object ({reason}); one object a line is right") from error


def _is_gzipped(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice}' occurs twice")
    return made


def problem(row: object, seen: dict[str, dict]) -> str | None:
    """What is wrong with a row, and what would be right; ``seen``: the rows before it, by id."""
    if not isinstance(row, dict):
        return 'not an object; right is {"id": "1", "q": {"en": "..."}, "p": {"en": "..."}}'
    if not isinstance(row.get("id"), str) or not row["id"]:
        return "field 'id' must be a text that is not empty"
    if wrong := _text_problem(row["id"]):
        return f"field 'id': {wrong}"
    if row["id"] in seen:
        return f"field 'id': '{row['id']}' occurs twice; ids must differ"
    for side in ("q", "p", "n") if "n" in row else ("q", "p"):
        if wrong := _texts_problem(side, row.get(side)):
            return wrong
    if wrong := _negative_problem(row, seen):
        return wrong
    if wrong := _texts_problem("title", row.get("title", {})):
        return wrong
    if not isinstance(row.get("group", ""), str) or _text_problem(row.get("group", "")):
        return "field 'group' must be a text"
    if row.get("split", "train") not in list(SPLITS):
        return f"field 'split': must be one of {', '.join(SPLITS)}"
    return None


def _texts_problem(field: str, texts: object) -> str | None:
    if not isinstance(texts, dict) or (not texts and field != "title"):
        return f'field \'{field}\' must map language codes to texts, such as {{"en": "..."}}'
    for language, text in texts.items():
        where = f"field '{field}', language '{language}'"
        if not is_language(language):
            return f"{where}: not a language code; right is ISO 639 in small letters, such as en, zh or pt-BR"
        if not isinstance(text, str) or not text.strip():
            return f"{where}: must be a text that is not empty"
        if problem := _text_problem(text):
            return f"{where}: {problem}"
    return None


def _text_problem(text: str) -> str | None:
    if len(text) > LONGEST:
        return f"has {len(text):,} characters, at most {LONGEST:,} are right; is it a whole file?"
    if found := NO_TEXT.search(text):
        return f"holds the character U+{ord(found[0]):04X}, which is no text; is it another encoding?"
    return None


@cache
def canonical(code: str) -> str:
    """A language code as BCP 47 writes it: ``pt-BR`` for pt_br, ``en`` for EN and for its codes of ISO 639-2 and -3.

    What is no code comes back as it is.
    """
    from babel.core import get_global

    if not CODE.fullmatch(code):
        return code
    language, *more = re.split("[-_]", code)
    known = get_global("language_aliases").get(language.lower(), language.lower())
    parts = [*known.split("_"), *more]
    return "-".join([parts[0], *(_subtag(part) for part in parts[1:])])


def check_spelling(codes: Iterable[str]) -> None:
    """Refuse codes of which two are one language, such as ``en`` and ``EN``.

    Raises:
        UserError: naming both.
    """
    spelling: dict[str, str] = {}
    for code in sorted(codes):
        if (other := spelling.setdefault(canonical(code).replace("_", "-").casefold(), code)) != code:
            raise UserError(f"{other!r} and {code!r} are one language; write it in one way")


def _subtag(part: str) -> str:
    """A script with a capital letter, a region in capitals, anything else in small letters."""
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 and part.isalpha() else part.lower()


@cache
def is_language(code: str) -> bool:
    """Whether a code is well formed and names what there is: a language (of three letters there are thousands), with a
    script, a territory or a variant. ``all`` is none: it stands for all languages in every table."""
    from babel import Locale

    found, known = LANGUAGE.fullmatch(code), Locale("en")
    if not found or code == "all" or (len(found[1]) == 2 and found[1] not in known.languages):
        return False
    further = (part.upper() for part in code.split("-")[1:])
    return all(p.title() in known.scripts or p in known.territories or p in known.variants for p in further)


def _negative_problem(row: dict, seen: dict[str, dict]) -> str | None:
    if seen and ("n" in row) != ("n" in next(iter(seen.values()))):
        return "field 'n': it must be in all rows or in none"
    if "n" in row and row["n"].keys() != row["p"].keys():
        return "field 'n': its languages must be those of 'p'"
    same = [language for language in row.get("n", {}) if row["n"][language] == row["p"][language]]
    return f"field 'n', language '{same[0]}': it is the text that answers the question" if same else None
