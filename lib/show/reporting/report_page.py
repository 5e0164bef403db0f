"""What stands on the page of a report: the answer, claims, figures, tables, and how it was made."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup, escape

from ...base import config, paths, progress
from ...base.config import Run
from ...data import catalog as data
from ...evidence import judge as evidence
from ...evidence import shift, tables
from ...figures import gallery, style
from .. import texts
from . import lead, sheets
from .sheets import Sheet

if TYPE_CHECKING:
    from jinja2 import Environment

LONG = 16  # rows of a table that stands open; the main one always does
PICTURES = 1_450_000  # characters of all figures, so that the page stays within 3 MB
GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")  # they name another repository, as in a hook
PALETTES = ((256, True), (256, False), (128, False))  # colours of each; whether dark ones too


def render(run: Run) -> str:
    """The page as text."""
    files = (texts.TEMPLATES / f"report.{kind}" for kind in ("css", "js"))
    style_text, script = (file.read_text(encoding="utf-8") for file in files)
    for name, colour in style.COLOURS.items():  # one a strategy, as in the figures
        style_text += f".is-{name}::before {{ background: {colour}; }}\n"
    allowed = f"default-src 'none'; img-src data:; style-src {_hash(style_text)}; script-src {_hash(script)}"
    return (
        _templates()
        .get_template("report.html")
        .render(
            run=run,
            policy=f"{allowed}; base-uri 'none'; form-action 'none'",
            style=Markup(style_text),
            script=Markup(script),
            warning=style.WARNING if style.on_facts(run) else "",
            explained=config.FACTS_ONLY if run.fallback else "",
            source=_source(run),
            pictures=pictures(run),
            main=sheets.main(run),
            LONG=LONG,
            **_judged(run),
            **_made(run),
        )
    )


def pictures(run: Run) -> list[dict[str, Any]]:
    """The run's figures, the answer first; for dark pages too, and in as many colours, as leave the page small."""
    names = [name for name in gallery.available(run) if (run.folder / "figures" / f"{name}.png").exists()]
    read = lead.readings(run)
    for colours, dark in PALETTES:
        found = [_picture(run, name, read.get(name, ""), colours, dark) for name in names]
        if sum(len(picture["light"]) + len(picture["dark"]) for picture in found) <= PICTURES:
            break
    return found


def _picture(run: Run, name: str, read: str, colours: int, both: bool) -> dict[str, Any]:
    """A figure on the page: what it shows, its title, what to see in it, and its pictures as ``data:`` addresses.

    Args:
        read: what a reader should see in it, where somebody wrote that of these numbers.
        both: for dark pages too.
    """
    light, dark = (run.folder / "figures" / f"{name}{shade}.png" for shade in ("", style.DARK_SUFFIX))
    heading, draw = gallery.ALL[name]
    content, size = _small(light, colours)
    return {
        "name": name,
        "heading": heading,
        "shows": " ".join((draw.__doc__ or heading).split()),
        "caption": f"{style.capital(style.caption(light)).rstrip('.')}.",
        "read": read.replace("`", ""),
        "light": content,
        "dark": _small(dark, colours)[0] if both and dark.exists() else "",
        "size": size,
        "has_svg": light.with_suffix(".svg").exists(),
    }


def _small(picture: Path, colours: int) -> tuple[str, tuple[int, int]]:
    """A PNG with a palette of its own as WebP, without further loss, in a ``data:`` address; and its size in pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(picture) as image:
        # Octree: keeps a strategy's colour however few its pixels are, where the median cut mixes it with others.
        few = image.convert("RGB").quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.convert("RGB").save(buffer, "WEBP", lossless=True, quality=60, method=4)
        return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", image.size


def _judged(run: Run) -> dict[str, Any]:
    """The answer, the verdicts, and the tables that they rest on; the verdicts where notebook 06 has been run."""
    others = [sheets.by_language(run)]
    if any(data.is_own(name) for name in (*run.config.train, *run.config.eval)):
        judged = [sheets.effects(run)] if evidence.current(run) else []
        return lead.of_own(run) | {"claims": [], "others": [*others, *judged]}
    if not evidence.current(run):
        return lead.as_published() | {"claims": [], "others": others}
    claims = tables.read(run, "claims.csv").astype(object).fillna("")
    rows = shift.with_costs(tables.read(run, "domain_shift.csv"))
    others += [sheets.effects(run), sheets.shifts(run), sheets.overlap(run), sheets.ledger(run)]
    answered = lead.of_run(run, rows) if len(rows) else lead.as_published()
    return answered | {
        "counted": f"{sheets.claims_in_words(claims[claims['encoder'] == run.config.encoder[0]])}.",
        "claims": lead.claims(claims),
        "others": [sheet for sheet in others if len(sheet.rows)],
    }


def _made(run: Run) -> dict[str, Any]:
    """Configuration, data, software, machine, times, and links to what lies beside the page."""
    made = tables.provenance(run)
    cells = made["cells"]
    seconds = sum(cell["made"]["evaluation_seconds"] for cell in cells.values())
    machines = dict.fromkeys(_machine(cell["made"]) for cell in cells.values())
    read = pd.DataFrame(made["sets"], columns=["set", "use", "digest"])
    beside = [path.name for path in sorted(run.folder.glob("*.csv*"))] + [tables.PROVENANCE]
    sets = dict.fromkeys(name.removesuffix(data.HELDOUT) for name in read["set"])
    return {
        "settings": {key: _plain(value) for key, value in made["config"].items()},
        "software": made["software"],
        "command": run.command + (" --finished" if run.finished else ""),
        "commit": commit(),
        "machines": list(machines),
        "evaluation": progress.duration(seconds),
        "data": Sheet("Data sets", "16 hex digits over texts, labels, ids and splits.", read, tables.PROVENANCE),
        "files": sheets.files(sets),
        "cells_made": sheets.made_cells(cells),
        "digest": made["digest"],
        "notebooks": _notebooks(run),
        "beside": beside,
    }


def _source(run: Run) -> str:
    """Where the numbers come from, in one line."""
    seeds = ", ".join(map(str, run.config.seeds))
    return f"Run {run.name} · encoder {run.config.encoders} · seeds {seeds} · cells {tables.provenance(run)['digest']}"


def _machine(made: dict[str, Any]) -> str:
    versions = f"Python {made['python']}, PyTorch {made['torch']}"
    return f"{made['device']}, {made['cores']} cores, {made['system']}, {versions}, {made['precision']}"


def _notebooks(run: Run) -> list[dict[str, str]]:
    """The executed notebooks that there are as pages: title, address, when they ran and for how long."""
    found = []
    for page in sorted((run.folder / "notebooks").glob("*.html")):
        notebook = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))
        title = "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        ran = notebook["metadata"].get("papermill", {})
        took = progress.duration(ran["duration"]) if ran.get("duration") else ""
        found.append({"title": title, "href": page.name, "took": took, "ended": (ran.get("end_time") or "")[:10]})
    return found


def commit() -> str:
    """The commit of the code that writes the page, and whether files differ from it; empty outside of its own git."""
    if _git("rev-parse", "--show-toplevel") != str(paths.ROOT.resolve()):  # git also looks in the folders above
        return ""
    top = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "lib", "notebooks", "configs", "published")
    return top + (" with changes" if top and changed else "")


def _git(*arguments: str) -> str:
    """What git says of the project's folder, not of another that variables name; nothing where there is no git."""
    command = ["git", "-C", str(paths.ROOT), *arguments]
    known = {name: value for name, value in os.environ.items() if name not in GIT}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=known)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _plain(value: Any) -> str:
    """A value of the configuration as people write it."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "the encoder's own" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _templates() -> "Environment":
    found = texts.templates(texts.TEMPLATES, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"code": _code, "base": sheets.base, "capitalised": style.capital}
    return found


def _code(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _hash(text: str) -> str:
    """How the page's policy names an inline style or script, so that no other is taken."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
