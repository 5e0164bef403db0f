"""Runs are killed (SIGKILL, with all their processes) at random moments and started again: the end must be the same.

    .venv/bin/python -m benchmarks.kill                                              20 moments of `smoke`, 45 minutes
    .venv/bin/python -m benchmarks.kill --profile default --set steps=10 --kills 5   hours on two cores

Works in a clone of the checkout, as it was last committed. One run is left to end; then each kill strikes a run that
began with empty folders. Compared with the unbroken run: the bytes of tables, cells, figures, encoders and trained
models with their logs; of cells' records and of the provenance all but where and in what time they were made; of
notebooks and their pages what was shown.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import measured
from lib import artifacts, paths

VOLATILE = ("made", "seal")  # of sealed records: where, and how long it took
HIDDEN = re.compile(r"(^|/)\.")  # locks, marks of done notebooks, what a killed writer left behind


@dataclass(frozen=True)
class Place:
    """A clone of the project, the folders of one run of it, and what is asked for."""

    clone: Path
    folder: Path
    arguments: list[str]

    def start(self) -> subprocess.Popen:
        """The run, with results, store and temporary files of its own; what it prints goes to ``said``."""
        for name in ("results", "store", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "HYBRID_RESULTS": str(self.folder / "results"),
            "HYBRID_STORE": str(self.folder / "store"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": str(self.clone),
            "PYTHONUNBUFFERED": "1",
        }
        if mirror := paths.mirror():
            environment["HYBRID_DATA_MIRROR"] = str(mirror)
        with open(self.folder / "said", "w") as said:
            command = [sys.executable, "-m", "lib", *self.arguments]
            return subprocess.Popen(
                command, cwd=self.clone, env=environment, stdout=said, stderr=said, start_new_session=True
            )

    def said(self) -> list[str]:
        return [line for line in (self.folder / "said").read_text().splitlines() if line.strip()]

    def at_work_on(self) -> str:
        """What the run was doing last: its last line, and the last line of its progress."""
        reports = sorted((self.folder / "tmp").glob("*.progress"), key=lambda path: path.stat().st_mtime)
        progress = reports[-1].read_text().splitlines()[-1:] if reports else []
        return "; ".join([*(self.said()[-1:] or ["starting"]), *(line.split(", ")[0] for line in progress)])

    def finished(self) -> list[str]:
        """The artifacts and cells that are complete: their folder or record is the last thing to be there."""
        found = [*(self.folder / "store").glob("*/*/manifest.json"), *(self.folder / "results").glob("*/cells/*.json")]
        found = [path for path in found if not HIDDEN.search(str(path.relative_to(self.folder)))]
        return sorted(f"{p.relative_to(self.folder)}@{p.stat().st_ino}" for p in found)


def main() -> None:
    take = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    take.add_argument("--profile", default="smoke")
    take.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    take.add_argument("--kills", type=int, default=20)
    take.add_argument("--seed", type=int, default=0)
    asked = take.parse_args()
    arguments = ["--profile", asked.profile, *(part for text in asked.overrides for part in ("--set", text))]
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="kill-") as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(paths.ROOT), str(clone)], check=True)
        whole = Place(clone, Path(name) / "whole", arguments)
        started = time.monotonic()
        end(whole)
        seconds = time.monotonic() - started
        expected = outcome(whole.folder)
        print(f"unbroken: {seconds:.0f} s, {len(expected)} files compared", flush=True)
        kills: list[dict[str, Any]] = []
        while len(kills) < asked.kills:
            struck = strike(Place(clone, Path(name) / "k", arguments), draw.uniform(0, seconds), expected)
            if struck is not None:  # else it had ended before that
                kills.append(struck)
                print(line(len(kills), struck), flush=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
    identical = sum(not kill["differs"] for kill in kills)
    result = {"run": " ".join(arguments), "commit": head.stdout.strip()[:12], "seed": asked.seed}
    result |= {"unbroken_seconds": seconds, "files_compared": len(expected), "identical": identical, "kills": kills}
    measured.write(f"kill_{asked.profile}", result)
    sys.exit(identical != len(kills))


def strike(place: Place, moment: float, expected: dict[str, str]) -> dict[str, Any] | None:
    """Start a run afresh, kill it at a moment (seconds), let it end, and compare; None if it had ended before."""
    shutil.rmtree(place.folder, ignore_errors=True)
    process = place.start()
    try:
        process.wait(timeout=moment)
        return None
    except subprocess.TimeoutExpired:
        kill(process)
    phase, kept = place.at_work_on(), place.finished()
    shutil.rmtree(place.folder / "tmp")
    started = time.monotonic()
    end(place)
    seconds, now = time.monotonic() - started, outcome(place.folder)
    return {
        "second": round(moment, 1),
        "phase": phase,
        "finished_before": len(kept),
        "made_again": [name.split("@")[0] for name in kept if name not in place.finished()],
        "notebooks_kept": sum("nothing changed" in text for text in place.said()),
        "seconds_to_the_end": round(seconds, 1),
        "differs": sorted(name for name in expected.keys() | now.keys() if expected.get(name) != now.get(name)),
    }


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to a run and to all that it has started: kernels are in process groups of their own."""
    run = psutil.Process(process.pid)
    run.suspend()  # so that it starts nothing more
    for one in [*run.children(recursive=True), run]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def end(place: Place) -> None:
    """Run to the end."""
    if place.start().wait():
        raise SystemExit("the run failed:\n" + "\n".join(place.said()[-20:]))


def line(number: int, kill: dict[str, Any]) -> str:
    same = f"DIFFERS: {', '.join(kill['differs'])}" if kill["differs"] else "identical"
    again = ", ".join(kill["made_again"]) or "nothing that was finished"
    return (
        f"{number:3}. killed at {kill['second']:.1f} s ({kill['phase']}), with {kill['finished_before']} artifacts and "
        f"cells finished; made again: {again}; to the end in {kill['seconds_to_the_end']:.0f} s: {same}"
    )


def outcome(folder: Path) -> dict[str, str]:
    """A digest for each file that a run has left: of its bytes, or of what of it does not depend on the time."""
    found = {}
    for path in sorted(path for top in ("results", "store") for path in (folder / top).rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if HIDDEN.search(name):
            continue
        if path.suffix == ".ipynb":
            found[name] = artifacts.digest(shown(path))
        elif name.endswith("provenance.json") or "/cells/" in name and path.suffix == ".json":
            found[name] = artifacts.digest(steady(json.loads(path.read_text(encoding="utf-8"))))
        elif path.suffix != ".html":  # made of the notebook, which is compared
            found[name] = artifacts.file_digest(path)
    return found


def steady(value: Any) -> Any:
    """A record without what it says of time and machine, wherever in it."""
    if isinstance(value, dict):
        return {key: steady(part) for key, part in value.items() if key not in VOLATILE}
    return [steady(part) for part in value] if isinstance(value, list) else value


def shown(notebook: Path) -> list[Any]:
    """What the cells of a notebook show: texts, tables and pictures."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [output.get("data", output.get("text")) for cell in cells for output in cell.get("outputs", [])]


if __name__ == "__main__":
    main()
