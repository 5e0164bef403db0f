"""Open a run: read its profile, look at which data can be had, and say what a reader is looking at."""

from collections.abc import Sequence
from dataclasses import replace

from ..base import config
from ..base.config import FACTS, FACTS_ONLY, Run
from ..base.errors import UserError
from ..data import catalog as data
from ..data import download
from . import cells, records
from . import plan as grid
from . import preflight as checks

QUICK = "quick"  # the profile of one's own things, and what --set alone changes
MIRROR_ONLY = tuple(name for name, row in data.SETS.items() if row.is_mirror_only)
NOT_OBTAINABLE = "data not obtainable"
NOWHERE = "which can be had neither from a mirror nor from its origin; set HYBRID_DATA_MIRROR to a folder that holds it"


def open_run(profile: str, overrides: Sequence[str] = (), finished: bool = False, facts: bool = False) -> Run:
    """Load a profile with overrides; `quick` falls back to the facts corpus where its data cannot be had.

    A run whose cells are all finished or published needs no data. Of one that trains, sets that exist only in a mirror
    are left out if it names others too, and the banner says so.

    Args:
        finished: look only at the cells that are finished, and make none.
        facts: take the facts corpus in place of the benchmarks even if these can be had.

    Raises:
        UserError: as `runs.records.load`, or a data set is not obtainable, or no cell is finished.
    """
    if fixed := [text for text in overrides if text.split("=")[0] in ("is_shown", "replicate")]:
        raise UserError(f"--set {fixed[0]}: only a profile says that; to look at finished cells alone, add --finished")
    run = _scored_on_own(records.load(profile, overrides))
    finished = finished or run.config.is_shown
    facts = facts or run.fallback
    gone = _sets(run.config) if facts else [] if finished else lacking(run)
    if gone and run.profile == QUICK:
        run = _on_facts(run)
    elif gone and not finished and not cells.all_at_hand(run):
        run = replace(run, config=_without(run, gone), left_out=tuple(gone))
    if run.config.checkpoint == "validation" and not obtainable("squadshifts"):
        raise UserError(f"checkpoint=validation needs squadshifts, {NOWHERE}; or use checkpoint=last")
    checks.plan(run)
    if finished:
        run = replace(run, finished=True)
        cells.adopt_published(run)
        if not cells.of(run):
            raise UserError(f"run {run.name}: no cell is finished yet; run it without --finished")
    return run


def _scored_on_own(run: Run) -> Run:
    """A run that trains on files of a person's own, and is not told what to score, is scored on their held-out rows.

    Where a file has none (its key ``split`` says train in each row), the profile's sets stay.
    """
    own = [name for name in run.config.train if data.is_own(name)]
    if own != list(run.config.train) or any(text.startswith("eval=") for text in run.overrides):
        return run
    held = tuple(f"{name}-heldout" for name in own)
    if not all(len(data.evaluation_set(name).questions) for name in held):
        return run
    return replace(run, config=replace(run.config, eval=held))


def _on_facts(run: Run) -> Run:
    """The run with the facts corpus in place of the benchmarks; a file of one's own stays."""
    own = {key: tuple(filter(data.is_own, getattr(run.config, key))) for key in ("train", "eval")}
    rest = {key: set(own[key]) < set(getattr(run.config, key)) for key in own}
    scored = own["eval"] + FACTS * rest["eval"]
    return run.on_facts(own["train"] + ("facts",) * rest["train"], scored)


def _without(run: Run, lacking: list[str]) -> config.Config:
    """The configuration less the sets that exist only in a mirror; others must be there."""
    if needed := [name for name in lacking if name not in MIRROR_ONLY]:
        raise UserError(f"profile {run.profile} needs {', '.join(needed)}, {NOWHERE}; or use profile quick or smoke")
    left = {
        key: tuple(name for name in getattr(run.config, key) if name.removesuffix("-heldout") not in lacking)
        for key in ("train", "eval")
    }
    if not all(left.values()):
        raise UserError(f"{', '.join(lacking)}: {NOT_OBTAINABLE}; set HYBRID_DATA_MIRROR to a folder that holds it")
    return replace(run.config, **left)


def with_texts(run: Run) -> Run:
    """Return the run, or the same on the facts corpus, for what shows texts; it says so in one line.

    The latter where a set cannot be had, and of a run that shows what is published: its pages are the same everywhere,
    and hold no text of a benchmark.
    """
    names = lacking(run)
    if not names and not run.config.is_shown:
        return run
    print("Texts that are shown below are those of the embedded facts corpus.")
    return run.on_facts()


def lacking(run: Run) -> list[str]:
    """Return the released sets of a run whose texts cannot be had."""
    return [name for name in _sets(run.config) if not obtainable(name)]


def obtainable(name: str) -> bool:
    """Whether a data set is in the mirror, downloaded already, or its origin answers."""
    return download.status(name) != "not obtainable"


def banner(run: Run) -> str:
    """What a reader is looking at, in a line or a few; the first thing that every notebook prints."""
    where = f"run {run.name}: encoder {run.config.encoders}, trained on {', '.join(run.config.train)}"
    line = f"{where}, scored on {', '.join(run.config.eval)}, seeds {', '.join(map(str, run.config.seeds))}"
    if names := unseen(run.config):
        line += f"\nnever trained on: {', '.join(names)}; what changes there is carried over from other languages"
    if run.fallback:
        return f"{FACTS_ONLY}\n{line}"
    left_out = f"\nnot run: {', '.join(run.left_out)}: {NOT_OBTAINABLE}" if run.left_out else ""
    done = f"\n{len(cells.of(run))} of {len(grid.plan(run.config))} cells are finished" if run.finished else ""
    return line + left_out + done


def unseen(chosen: config.Config) -> list[str]:
    """The languages of somebody's own rows that are scored, and that no set has which is trained on."""
    own = [name for name in chosen.eval if data.is_own(name)]
    trained = chosen.train if own and set(chosen.strategies) != {grid.NONE} else ()
    taught = {x for name in trained for x in data.training_languages(name, chosen.eval, chosen.candidates)}
    asked = dict.fromkeys(x for name in own for x in data.outline(name, chosen.candidates).languages)
    return [x for x in asked if taught and x not in taught]


def _sets(chosen: config.Config) -> list[str]:
    """The sets of a configuration that are downloaded."""
    names = [name.removesuffix("-heldout") for name in (*chosen.train, *chosen.eval)]
    return [name for name in dict.fromkeys(names) if download.files_of(name)]
