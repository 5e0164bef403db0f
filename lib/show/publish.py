"""Copy what a finished run has made to where it is tracked: cells, tables, figures, and the numbers in README.

``python -m lib.show.publish`` does so for the notebooks that ``./run_all.sh`` executed.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from ..base import paths
from ..base import store as artifacts
from ..base.config import FACTS, Run
from ..base.errors import UserError, told
from ..evidence import judge as evidence
from ..evidence import tables
from ..figures import drawn, gallery
from ..runs import cells
from . import notebooks, texts

# In README: the answer, its first paragraph above a figure that is not of it.
BEGIN, PAUSE = "<!-- answer: written by run_all.sh --publish -->", "<!-- answer: figure -->"
RESUME, END = "<!-- answer: in full -->", "<!-- end of answer -->"
TRACKED = (*tables.TABLES, tables.PROVENANCE, *evidence.FILES, evidence.SEAL)


def check_publishable(run: Run) -> None:
    """Refuse to publish a run on the facts corpus, before it is made.

    Raises:
        UserError: it is one, or one that shows what is published.
    """
    if run.fallback or set(run.config.eval) <= set(FACTS):
        raise UserError(f"run {run.name} uses the facts corpus: only runs on real data are published")
    if run.config.is_shown:
        raise UserError(f"run {run.name} shows what is published already; publish the run that makes it: full")


def publish(run: Run) -> list[Path]:
    """Copy a finished real-data run's cells, tables and figures to where they are tracked; a cell once, for all runs.

    Of figures the PNG files: as SVG a run has them in its own folder.

    Raises:
        UserError: the run is on the facts corpus, or not finished.
    """
    check_publishable(run)
    if cells.missing(run) or not tables.current(run):
        raise UserError(f"run {run.name} is not finished: run it to its end first, or publish with --finished")
    target = run.folder / "published"
    copies = {run.folder / name: target / name for name in TRACKED if (run.folder / name).exists()}
    for cell in (*cells.of(run), *cells.parts_of(run)):
        if not cells.is_published(run, cell):
            copies |= {path: target / "cells" / path.name for path in cells.files(run, cell)}
    pictures = paths.FIGURES / run.name
    copies |= {path: pictures / path.name for path in gallery.saved(run) if path.suffix == ".png"}
    for source, copy in copies.items():
        with artifacts.replacing(copy) as temporary:
            shutil.copyfile(source, temporary)
    drawn.seal(run, pictures, sorted(pictures.glob("*.png")))
    read = texts.gallery(texts.numbers(run)) if run.name == texts.QUOTED else {}
    artifacts.write_text(pictures / "README.md", gallery.page(run, read))
    written = [*copies.values(), pictures / drawn.SEAL, pictures / "README.md", gallery.write_index()]
    if update(run):
        written.append(paths.ROOT / "README.md")
    return written


def update(run: Run) -> bool:
    """Put the published answer into the README, between its marks; whether there was something to put."""
    if run.name != texts.QUOTED:
        return False
    readme = paths.ROOT / "README.md"
    before, _, figure, _, after = _parts(readme.read_text(encoding="utf-8"))
    first, rest = texts.answer(texts.numbers(run)).split("\n\n", 1)
    artifacts.write_text(readme, f"{before}{BEGIN}\n{first}\n\n{PAUSE}{figure}{RESUME}\n{rest}\n{END}{after}")
    return True


def quoted() -> str:
    """What the README says between its marks, without the figure."""
    _, first, _, rest, _ = _parts((paths.ROOT / "README.md").read_text(encoding="utf-8"))
    return f"{first.strip()}\n\n{rest.strip()}"


def _parts(readme: str) -> list[str]:
    """What stands before the answer, its first paragraph, the figure, the rest of it, and what stands after it."""
    return re.split("|".join((BEGIN, PAUSE, RESUME, END)), readme)


def store(executed: Path, notebook: Path) -> None:
    """Put the outputs of an executed notebook into that of the repository, without what differs from run to run.

    Raises:
        UserError: it was executed from other cells, or an output names the folder of the project.
    """
    mine, done = (json.loads(path.read_text(encoding="utf-8")) for path in (notebook, executed))
    ran = [cell for cell in done["cells"] if "injected-parameters" not in cell["metadata"].get("tags", [])]
    if ["".join(cell["source"]) for cell in ran] != ["".join(cell["source"]) for cell in mine["cells"]]:
        raise UserError(f"{paths.shown(executed)} was executed from other cells; ./run_all.sh executes them again")
    code = [pair for pair in zip(mine["cells"], ran, strict=True) if pair[0]["cell_type"] == "code"]
    for number, (cell, run) in enumerate(code, start=1):
        outputs = [output for output in run["outputs"] if output.get("name") != "stderr"]
        for output in outputs:
            output.pop("transient", None)
            if "execution_count" in output:
                output["execution_count"] = number
        cell |= {"execution_count": number, "outputs": outputs}
    text = json.dumps(mine, indent=1, ensure_ascii=False) + "\n"
    if str(paths.ROOT) in text:
        raise UserError(f"{paths.shown(executed)}: an output names {paths.ROOT}")
    artifacts.write_text(notebook, text)


def main() -> int:
    """Store the notebooks that ``./run_all.sh`` executed."""
    return told(_main)


def _main() -> int:
    for path in notebooks.notebooks():
        store(paths.results() / "default" / "notebooks" / path.name, path)
        print(paths.shown(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
