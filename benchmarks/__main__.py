"""All benchmarks, one after the other; results are in `benchmarks/results`.

.venv/bin/python -m benchmarks            those of speed, 50 minutes on two cores
.venv/bin/python -m benchmarks --all      the others as well: size, kills, choices; a day on two cores
"""

import argparse
import subprocess
import sys

SPEED = (
    ["evaluation"], ["encoding"], ["encoders"], ["training"], ["training_step"], ["time_spent"], ["utilisation"],
    ["explorer"],
)  # fmt: skip
OTHERS = (
    ["scale"], ["kill"], ["kill", "--profile", "quick", "--set", "steps=10", "--kills", "5", "--one-run"],
    ["hyperparameters", "use-m"], ["hyperparameters", "static"], ["dropout_on_development"], ["checkpoint_choice"],
    ["machines"], ["rows", "static"], ["equal_headings"], ["sampler_versions"], ["languages"],
)  # fmt: skip


def main() -> None:
    take = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    take.add_argument("--all", action="store_true")
    for name, *arguments in (*SPEED, *(OTHERS if take.parse_args().all else ())):
        print("==", name, *arguments, flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
