"""Texts that people wrote, filled with numbers that were computed.

A template names each number by where it stands in ``answer.json.gz``. A word that numbers decide is written out, and
checked: a text that is no longer true is not rendered, and the error says which words a person has to rewrite.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import paths
from ..base import store as artifacts
from ..base.config import Run
from ..evaluation.measures import number
from ..evidence import judge as evidence
from ..evidence.paper import verdicts
from ..runs import names

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = paths.LIB / "show" / "templates"
QUOTED = "full"  # the run whose numbers the README quotes
TESTS = ("mlqa-r", "xquad-r")
FOREIGN = "parallel-docs"  # the training set that is foreign to both tests
CHANCE = "14% / 9%"  # the mean share of a query language in the pools of ``TESTS``


class UntrueTextError(Exception):
    """A written text says something that the tables do not; the message names the text and the words."""


def templates(folder: Path, **settings: Any) -> "Environment":
    """The Jinja templates of a folder; a name in them that nobody gives a value is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, **settings)


def language(code: str) -> str:
    """The English name of a language: German for ``de``, Portuguese (AO) for ``pt-AO``; the code where it has none."""
    from babel import Locale

    known, (base, _, region) = Locale("en").languages, code.partition("-")
    return known.get(code.replace("-", "_"), f"{known[base]} ({region})") if base in known else code


def answer(numbers: dict[str, Any]) -> str:
    """The written answer in Markdown, as README has it.

    Args:
        numbers: as in ``answer.json.gz`` (see `lib.evidence.answer`).

    Raises:
        UntrueTextError: the numbers have changed so that a word of it is no longer true.
    """
    return _render("answer.md.j2", numbers)


def opening(numbers: dict[str, Any]) -> str:
    """The first paragraph of `answer` as plain text; raises as that."""
    return " ".join(answer(numbers).split("\n\n")[0].replace("**", "").replace("`", "").split())


def short(numbers: dict[str, Any]) -> str:
    """The written answer in two lines, for the end of a run; raises as `answer`."""
    return _render("short.txt.j2", numbers)


def gallery(numbers: dict[str, Any]) -> dict[str, str]:
    """What a reader should see in each figure of the published run, by the figure's name; raises as `answer`."""
    parts = _render("gallery.md.j2", numbers).split("## ")[1:]
    return {name: " ".join(text.split()) for name, text in (part.split("\n", 1) for part in parts)}


def numbers(run: Run) -> dict[str, Any]:
    """The numbers that written texts are filled from, as a run has them (see `lib.evidence.answer`)."""
    return json.loads(artifacts.read_text(run.folder / evidence.ANSWER))


def published() -> dict[str, Any]:
    """The numbers of the published run that the README quotes."""
    return json.loads(artifacts.read_text(paths.TRACKED / QUOTED / "published" / evidence.ANSWER))


def _render(name: str, numbers: dict[str, Any]) -> str:
    jinja = templates(TEMPLATES)
    levels = numbers["encoders"]["e5-small-q4"]["levels"]
    centring = numbers["encoders"]["e5-small-q4"]["centring"]

    def says(row: dict[str, Any] | str, word: str) -> str:
        verdict = row if isinstance(row, str) else row["verdict"]
        if verdict != word:
            raise UntrueTextError(f"{name} says '{word}' where the tables say '{verdict}': rewrite the sentence")
        return word

    def check(holds: bool, said: str) -> str:
        if not holds:
            raise UntrueTextError(f"{name} says that {said}, which is no longer so: rewrite the sentence")
        return ""

    def pair(label: str, measure: str) -> str:
        train = "none" if label == "none" else FOREIGN
        return " / ".join(number(levels[test][train][label][measure]["value"]) for test in TESTS)

    def pair_centred(setting: str) -> str:
        means = [centring[test]["none"]["-"]["own"][setting]["mAP"]["none"]["-"]["value"] for test in TESTS]
        return " / ".join(map(number, means))

    jinja.globals.update(check=check, pair=pair, pair_centred=pair_centred, named=names.name)
    jinja.globals.update(counted=counted, chance=CHANCE)
    jinja.filters.update(says=says, interval=interval, signed=signed, size=size)
    jinja.filters.update(percent=percent, places=places)
    return jinja.get_template(name).render(**numbers)


def interval(row: dict[str, float]) -> str:
    """A difference with its interval: ``−.024 [−.030, −.017]``."""
    return f"{signed(row['value'])} [{signed(row['low'])}, {signed(row['high'])}]"


def signed(value: float) -> str:
    """A difference, with its sign."""
    return number(value, sign=True)


def size(value: float | dict[str, float]) -> str:
    """A number without a sign, or the value of a row."""
    return number(value["value"] if isinstance(value, dict) else value)


def counted(claims: dict[str, str]) -> str:
    """How many of the paper's own claims came out how: ``5 reproduced, 4 partly``."""
    return by_verdict([verdict for id_, verdict in claims.items() if id_.isdigit()])


def by_verdict(found: list[str]) -> str:
    """How many verdicts there are of each kind, in the order of the kinds."""
    return ", ".join(f"{found.count(verdict)} {verdict}" for verdict in verdicts.VERDICTS if verdict in found)


def percent(row: dict[str, float]) -> str:
    """The value of a row that is a share."""
    return f"{row['value']:.0%}"


def places(row: dict[str, float]) -> str:
    """The value of a row that is a number of places in a ranking."""
    return f"{row['value']:,.0f}"
