"""How cost grows with the number of languages: an audit, and a whole run with notebooks, figures and report.

Rows of a person's own: thirty questions of the facts corpus, in 10 to 100 made-up languages, scored with `static`; the
run trains hybrid batches for ten steps. Each is a command of its own in a new folder, as people give it.

    .venv/bin/python -m benchmarks.languages
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import measured
from lib.base import paths
from lib.data import facts

LANGUAGES, QUESTIONS = (10, 20, 50, 100), 30


def write(file: Path, languages: int) -> None:
    """Rows whose texts differ by language, and whose words do not, so that there is something to find."""
    codes = ["en", *(f"q{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(languages - 1))]
    rows = [
        {"id": fact["id"], **{side: {code: f"{fact[side]['en']} {code}" for code in codes} for side in ("q", "p")}}
        for fact in facts.rows()[:QUESTIONS]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def seconds(*arguments: str) -> float:
    """What a command takes, with results and a store of its own, which it starts from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"HYBRID_RESULTS": f"{folder}/results", "HYBRID_STORE": f"{folder}/store"}
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *arguments], cwd=paths.ROOT, env=os.environ | places, check=True, capture_output=True
        )
        return time.perf_counter() - started


def main() -> None:
    rows = []
    for languages in LANGUAGES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "own.jsonl"
            write(file, languages)
            audit = seconds("lib.interop.audit", "--encoder", "static", "--eval", str(file))
            changes = [f"train={file}", f"eval={file}-heldout", "strategies=[none,hybrid]", "steps=10", "batch_size=8"]
            run = seconds("lib", "--profile", "smoke", *(part for text in changes for part in ("--set", text)))
        rows.append({"languages": languages, "seconds of an audit": audit, "seconds of a run": run})
        print(rows[-1], flush=True)
    measured.write("languages", {"questions": QUESTIONS, "rows": rows})


if __name__ == "__main__":
    main()
