"""How figures look, and how they are saved: one colour a strategy, a plain title, provenance in every file."""

import io
import json
import textwrap
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ..base import config
from ..base import store as artifacts
from ..base.config import Run
from ..evidence import tables
from ..runs import names
from ..runs.names import capital as capital
from ..training.strategies import STRATEGIES

OWN_FONT = "DejaVu Sans"
# Families that cover what DejaVu lacks, as systems and package managers call them; the first that is there is used.
OTHER_FONTS = {
    "Chinese, Japanese, Korean": (
        "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC",
        "Hiragino Sans", "Microsoft YaHei", "Droid Sans Fallback",
    ),
    "Thai": ("Noto Sans Thai", "Loma", "Thonburi", "Leelawadee UI"),
    "Devanagari": ("Noto Sans Devanagari", "Lohit Devanagari", "Kohinoor Devanagari", "Nirmala UI"),
}  # fmt: skip
WIDTH = 9.0  # inches; shown 900 pixels wide, 8 points are 11 pixels high
DPI = 150
PLACES = 6  # decimals of a place on the page, in fractions of it
WARNING = "Facts corpus, not the paper's data"
GREY = "#666666"
DARK_SUFFIX = "-dark"
COLOURS = {name: look.colour for name, look in STRATEGIES.items()}
MARKERS = {name: look.marker for name, look in STRATEGIES.items()}
LINES = {name: look.line for name, look in STRATEGIES.items() if look.line}


def look(label: str) -> dict[str, str]:
    """The colour and the marker of a strategy; mixtures of any alpha have those of hybrid."""
    name = "hybrid" if label.startswith("hybrid") else label
    return {"color": COLOURS[name], "marker": MARKERS[name]}


@cache
def families() -> list[str]:
    """matplotlib's own font, and one of this machine for each group of scripts that it lacks, where there is one."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    found = (next((name for name in names if name in installed), None) for names in OTHER_FONTS.values())
    return [OWN_FONT, *(name for name in found if name)]


RULES = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "hybrid-batches",  # ids in an SVG are random without it
    "font.family": families(),
}
house: Callable[[], Any] = partial(matplotlib.style.context, ["default", RULES])


def new(run: Run, height: float) -> Figure:
    """An empty figure of the house's width; ``height`` in inches, without the line of warning."""
    extra = 0.25 if on_facts(run) else 0.0
    figure = Figure(figsize=(WIDTH, height + extra), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, hspace=0.03, wspace=0.03)
    return figure


def frame(figure: Figure, run: Run, title: str, note: str = "") -> Figure:
    """The figure with what it shows above it and where it comes from below; on the facts corpus, the warning on top."""
    warned = on_facts(run)
    figure.suptitle("\n" * warned + _balanced(title, 88), x=0.008, ha="left", fontsize=11, fontweight="bold")
    if warned:
        figure.text(0.008, 1 - 0.06 / figure.get_figheight(), WARNING, va="top", color="#B00000", fontsize=11)
    small = [_balanced(text, 136) for text in (note, small_print(run)) if text]
    figure.supxlabel("\n".join(small), x=0.008, ha="left", fontsize=8, color=GREY)
    return figure


def empty(run: Run, why: str) -> Figure:
    """A figure that only says why there is nothing to show."""
    return frame(new(run, 1.0), run, why)


def on_facts(run: Run) -> bool:
    """Whether a run's numbers are those of the embedded facts corpus alone."""
    return run.fallback or set(run.config.eval) <= set(config.FACTS)


def small_print(run: Run) -> str:
    """Where a figure's numbers come from, in one line."""
    return drawable(f"Run {run.name} · encoder {run.config.encoders} · {tables.source(run)} · {seeds(run)}")


def seeds(run: Run) -> str:
    """What the number of seeds allows to say."""
    count = len(run.config.seeds)
    most = "up to " if run.finished else ""  # seeds of the plan that are not all there yet
    return "1 seed" if count == 1 else f"{most}{count} seeds"


def name(key: str) -> str:
    """How a figure writes a data set, an encoder or a strategy: letters that no font has as their code points."""
    return drawable(names.name(key))


def drawable(text: str) -> str:
    """A text for a figure: letters that no font here has are given by their code points, and not as empty boxes."""
    if text.isascii():
        return text
    return "".join(letter if ord(letter) in _letters() else f"\\u{ord(letter):04x}" for letter in text)


@cache
def _letters() -> frozenset[int]:
    """The code points that can be drawn."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(code for family in families() for code in get_font(findfont(family)).get_charmap())


def title(figure: Figure) -> str:
    """What a figure is titled with, in one line."""
    return " ".join(figure.get_suptitle().split())


def provenance(run: Run, digest: str) -> dict[str, str]:
    """What each figure's file says of its origin."""
    trained, scored = ", ".join(run.config.train) or "nothing", ", ".join(run.config.eval)
    return {
        "run": run.name,
        "profile": run.profile,
        "overrides": " ".join(run.overrides),
        "encoder": run.config.encoders,
        "cells": digest,
        "data": config.FACTS_ONLY if run.fallback else f"trained on {trained}; scored on {scored}",
    }


def save(figure: Figure, path: Path, origin: dict[str, str]) -> list[Path]:
    """Write ``path.svg`` and ``path.png``, and both again for dark pages as ``path-dark``.

    Each is written whole or not at all, and equal figures give equal bytes. All carry what they show as Title and
    ``origin``, as JSON, as Description. The figure itself is dark afterwards.
    """
    inside = {"Title": title(figure), "Description": json.dumps(origin)}
    _lay_out(figure)
    light, dark = files(path)[:2], files(path)[2:]
    for target in (*light, *dark):
        if target == dark[0]:
            with house():  # the number of ticks hangs on their size
                darken(figure)
        date = {"Date": None} if target.suffix == ".svg" else {}
        content = render(figure, target.suffix[1:], DPI, inside | date)
        with artifacts.replacing(target) as temporary:
            temporary.write_bytes(content)
    return [*light, *dark]


def _lay_out(figure: Figure) -> None:
    """Work the layout out once for all files of a figure, and round it.

    The solver's last digits differ from run to run, and the names of clip paths in SVG are made of all of them.
    """
    with house():
        for _ in range(2):  # with the panels' first sizes their ticks change, and so the room that these need
            figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(PLACES))
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(PLACES)))


def files(path: Path) -> list[Path]:
    """The files of a figure: light, then dark."""
    return [path.with_name(f"{path.name}{shade}.{kind}") for shade in ("", DARK_SUFFIX) for kind in ("svg", "png")]


def darken(figure: Figure) -> None:
    """Turn a figure's greys round, white to almost black, and lighten its colours a little, in place.

    Heat maps stay as they are: their numbers are set for the shades below them, and their shades for the bar.
    """
    maps = [axes for axes in figure.axes if any(isinstance(child, QuadMesh) for child in axes.collections)]
    kept = {child for axes in maps for child in (*axes.collections, *axes.texts)}
    found = []
    for artist in set(figure.findobj()) - kept:
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            if get and put:
                found.append((put, _dark(get())))
    for put, colour in found:  # after all were read: to set one of an artist's colours can change another
        put(colour)


def _dark(colour: Any) -> Any:
    """A colour, or an array of them, as it is on dark paper."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    rgba = to_rgba_array(colour)
    if not len(rgba):
        return colour
    rgb = rgba[:, :3]
    grey = np.ptp(rgb, axis=1, keepdims=True) < 0.06
    rgba[:, :3] = np.where(grey, 0.93 - 0.84 * rgb, rgb + 0.25 * (1 - rgb))
    return rgba if len(rgba) > 1 else tuple(rgba[0])


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` characters; names such as x-x-mono stay whole."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


def caption(picture: Path) -> str:
    """What a saved PNG shows, as its own title says."""
    from PIL import Image

    with Image.open(picture) as image:
        return image.text["Title"]


def render(figure: Figure, kind: str, dpi: int, metadata: dict[str, Any] | None = None) -> bytes:
    """The bytes of a figure as ``svg`` or ``png``."""
    buffer, before = io.BytesIO(), figure.dpi
    with house():
        figure.dpi = dpi
        # Not savefig: it goes through each figure twice, the first time to lay it out, which takes as long again.
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
        else:
            FigureCanvasAgg(figure).print_png(buffer)
        figure.dpi = before
    return buffer.getvalue() if kind == "svg" else _with_palette(buffer, dpi, metadata or {})


def _with_palette(picture: io.BytesIO, dpi: int, metadata: dict[str, Any]) -> bytes:
    """A PNG with 256 colours of its own: a quarter of the size, and no difference to be seen."""
    from PIL import Image, PngImagePlugin

    said, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, value in metadata.items():
        said.add_itxt(key, value)
    with Image.open(picture) as image:
        # Octree: keeps a strategy's colour however few its pixels are, where the median cut mixes it with others.
        few = image.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True, dpi=(dpi, dpi), pnginfo=said)
    return buffer.getvalue()


def _balanced(text: str, width: int) -> str:
    """The text in as few lines as ``width`` characters allow, all about equally long."""
    lines = wrapped(text, width)
    while len(closer := wrapped(text, width - 1)) == len(lines) > 1:
        width, lines = width - 1, closer
    return "\n".join(lines)
