"""Which figures a run has, saved to its folder, and the gallery that shows them with what each one says."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ..base import paths, workers
from ..base import store as artifacts
from ..base.config import Run
from ..base.errors import UserError
from ..evidence import judge as evidence
from ..evidence import selection, tables
from . import answer, drawn, languages, retrieval, robustness, style
from . import evidence as figures_evidence

ALL: dict[str, tuple[str, Callable[[Run], Figure]]] = {  # the answer first
    "plane": ("What each kind of batches changes", answer.plane),
    "shift": ("Domain shift", answer.fixed_test),
    "home": ("Domain shift from home", answer.from_home),
    "planes": ("What each kind of batches changes, with every encoder", answer.plane),
    "encoders": ("Our encoders and the paper's", answer.encoders),
    "confound": ("Why the test is held fixed", robustness.confound),
    "robustness": ("Effective robustness", robustness.effective),
    "choices": ("Other choices", robustness.choices),
    "crossed": ("Other choices, crossed", robustness.crossed),
    "forest": ("Paired differences", figures_evidence.forest),
    "map_by_setting": ("mAP in each setting", retrieval.map_by_setting),
    "alpha": ("The price of alpha", figures_evidence.alpha_curve),
    "rank_distance": ("Rank distance", retrieval.rank_distances),
    "hurt": ("Who is hurt", languages.who_is_hurt),
    "top10": ("Languages of the top 10", retrieval.top10_languages),
    "ledger": ("The paper beside ours", figures_evidence.paper_and_ours),
    "data": ("The data at a glance", retrieval.data_at_a_glance),
    "kinds": ("What a wrong answer looks like", languages.batch_kinds),
    "batches": ("What the batches hold", retrieval.batch_composition),
    "loss": ("Loss", retrieval.loss_curves),
    "languages": ("Language by language", retrieval.language_heat_maps),
}
# The others show the first encoder of a run with several: panels of more would be too small, means over them wrong.
OF_ALL = ("shift", "home", "planes", "encoders", "confound", "robustness", "choices", "crossed", "data", "kinds")
APPENDIX = ("loss", "batches", "data", "ledger")  # what the gallery shows last
RUNS = ("full",)  # in the order of the gallery
INTRODUCTION = (
    "Numbers in the text are those of multilingual-e5-small where no other encoder is named, filled in from the tables "
    "of this run.\n"
)


def available(run: Run) -> list[str]:
    """The figures that a run has numbers for, the answer first."""
    by_language = tables.read(run, "metrics_by_language.csv.bz2")
    there = {"map_by_setting": True, "data": True, "languages": bool(selection.language_matrices(by_language))}
    there |= dict.fromkeys(("rank_distance", "top10"), "rank_distance" in set(by_language["metric"]))
    there |= dict.fromkeys(("kinds", "batches", "loss"), len(tables.read(run, "training_log.csv.bz2")) > 0)
    there["hurt"] = len(tables.read(run, "bias.csv.bz2")) > 0
    for part in (answer, robustness, figures_evidence) if evidence.current(run) else ():
        there |= part.drawable(run)
    return [name for name in ALL if there.get(name)]


def draw(run: Run, name: str) -> Figure:
    """Draw a figure of a run by its name, such as ``forest``; the tables that it is made from must be there.

    Raises:
        UserError: there is no figure of this name.
    """
    if name not in ALL:
        raise UserError(f"figure '{name}' does not exist; choose one of: {', '.join(ALL)}")
    return ALL[name][1](run if name in OF_ALL else run.of_first())


def save_all(run: Run) -> list[Path]:
    """Write the run's figures to its folder ``figures``, each as SVG and PNG, light and dark; returns their paths.

    A run that shows what is published takes the tracked PNG files, if they were drawn from the same cells by today's
    code: to draw them takes a minute and gives the same.
    """
    if source := drawn.tracked(run):
        return drawn.take(run, source)
    made = workers.each(partial(_save, run, style.provenance(run, tables.digest(run))), available(run))
    found = [path for files in made for path in files]
    drawn.seal(run, run.folder, found)
    return found


def tracked(run: Run, name: str) -> Path | None:
    """The PNG file of a figure of a run that shows what is published, if it was drawn from the same cells and code."""
    source = drawn.tracked(run)
    return source / f"{name}.png" if source and (source / f"{name}.png").is_file() else None


def _save(run: Run, origin: dict[str, str], name: str) -> list[Path]:
    return style.save(draw(run, name), run.folder / "figures" / name, origin)


def saved(run: Run) -> list[Path]:
    """The paths of the run's figures, drawn first if they are not current."""
    if not drawn.current(run):
        return save_all(run)
    files = (path for name in available(run) for path in style.files(run.folder / "figures" / name))
    return [path for path in files if path.exists()]


def page(run: Run, read: Mapping[str, str]) -> str:
    """A run's gallery as Markdown: each figure with what it shows; at the end where the numbers come from.

    Args:
        read: what a reader should see in a figure, by its name, for those of which somebody wrote it.
    """
    pictures = {path.stem: path for path in saved(run) if path.suffix == ".png"}
    tasks = selection.tasks(tables.read(run, "metrics.csv"))
    pairs = "; ".join(f"{style.name(train)} → {style.name(test)}" for train, test in tasks)
    made = f"{style.small_print(run)} · trained → scored: {pairs}"
    command = f"`{run.command}{' --finished' if run.finished else ''} --publish`"
    warning = f"**{style.WARNING}.** " if style.on_facts(run) else ""
    parts = [f"# Figures of the run {run.name}\n\n{warning}" + INTRODUCTION * bool(read)]
    for name in sorted(available(run), key=lambda name: name in APPENDIX):
        if name in APPENDIX and "# Appendix\n" not in parts:
            parts.append("# Appendix\n")
        heading, _ = ALL[name]
        shows = f"{style.capital(style.caption(pictures[name]))}."
        text = f"**{shows}** {read[name]}" if name in read else shows
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{name}{style.DARK_SUFFIX}.png">'
        parts.append(f'## {heading}\n\n<picture>{dark}<img alt="{heading}" src="{name}.png"></picture>\n\n{text}\n')
    parts.append(f"<sub>{made} · made by {command}</sub>\n")
    return "\n".join(parts)


def write_index() -> Path:
    """Write the gallery over all published runs: their pages one after the other, each below its own folder."""
    parts = []
    for folder in sorted(paths.FIGURES.iterdir(), key=lambda p: (RUNS.index(p.name) if p.name in RUNS else 9, p.name)):
        if (folder / "README.md").exists():
            text = (folder / "README.md").read_text(encoding="utf-8")
            parts.append(re.sub(r'(\]\(|src="|srcset=")', rf"\g<1>{folder.name}/", text))
    target = paths.FIGURES / "README.md"
    artifacts.write_text(target, "\n".join(parts))
    return target
