"""Runs are killed (SIGKILL, with all their processes) at random moments and started again: the end must be the same.

    .venv/bin/python -m benchmarks.kill                      20 moments of `smoke`, 45 minutes on two cores
    .venv/bin/python -m benchmarks.kill --profile quick --set steps=10 --kills 5 --one-run           an hour

Works in a clone of the checkout, as it was last committed. One run is left to end; then each kill strikes a run that
began with empty folders, or all of them the same run, one after the other. Compared with the unbroken run: the bytes of
tables, cells, figures, encoders and trained models with their logs; of cells' records and of the provenance all but
where and in what time they were made; of notebooks and their pages what was shown.
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
from lib.base import paths
from lib.base import store as artifacts

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
    take.add_argument("--one-run", action="store_true", help="kill one run again and again, not each time a new one")
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
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
        struck: list[dict[str, Any]] = []
        result = {"run": " ".join(arguments), "commit": head.stdout.strip()[:12], "seed": asked.seed}
        result |= {"unbroken_seconds": seconds, "files_compared": len(expected), "kills": struck}
        at_once = asked.kills if asked.one_run else 1
        while len(struck) < asked.kills:
            # Of several, one and a half runs in all at most: what each kill undoes is done again meanwhile.
            moments = [draw.uniform(0, seconds * (1.5 if asked.one_run else 1) / at_once) for _ in range(at_once)]
            struck += strike(Place(clone, Path(name) / "k", arguments), moments, expected)
            result["identical"] = sum(not kill["differs"] for kill in struck)
            measured.keep(f"kill_{asked.profile}", result)
    sys.exit(result["identical"] != len(struck))


def strike(place: Place, moments: list[float], expected: dict[str, str]) -> list[dict[str, Any]]:
    """Start a run afresh, kill it so many seconds after each start, let it end, and compare.

    Returns:
        One record a kill; those that were to come after the run had ended are left out.
    """
    shutil.rmtree(place.folder, ignore_errors=True)
    kills: list[dict[str, Any]] = []
    for moment in moments:
        process = place.start()
        try:
            process.wait(timeout=moment)
            break
        except subprocess.TimeoutExpired:
            kill(process)
        found = {"second": round(moment, 1), "phase": place.at_work_on(), "finished_before": place.finished()}
        kills.append(found)
        print(f"    killed at {found['second']} s: {found['phase']}", flush=True)
        shutil.rmtree(place.folder / "tmp")
    started = time.monotonic()
    end(place)
    seconds, now, kept = time.monotonic() - started, outcome(place.folder), place.finished()
    ending = {
        "notebooks_kept": sum("nothing changed" in text for text in place.said()),
        "seconds_to_the_end": round(seconds, 1),
        "differs": sorted(name for name in expected.keys() | now.keys() if expected.get(name) != now.get(name)),
    }
    for found in kills:
        before = found["finished_before"]
        found["finished_before"] = len(before)
        found["made_again"] = [name.split("@")[0] for name in before if name not in kept]
        found |= ending
        print(line(found), flush=True)
    return kills


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


def line(kill: dict[str, Any]) -> str:
    same = f"DIFFERS: {', '.join(kill['differs'])}" if kill["differs"] else "identical"
    again = ", ".join(kill["made_again"]) or "nothing that was finished"
    return (
        f"killed at {kill['second']:.1f} s ({kill['phase']}), with {kill['finished_before']} artifacts and "
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
        elif path.suffix == ".html" or name.endswith("/report.json"):  # pages tell times; what they show is compared
            continue
        else:
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
