"""All benchmarks that compare speed, one after the other: `.venv/bin/python -m benchmarks`. About 50 minutes."""

import subprocess
import sys

NAMES = ("evaluation", "encoding", "training", "training_step", "utilisation")

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
