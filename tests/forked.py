"""Processes that have imported what trains before they are told what to do, which takes 15 s of each that has not.

One process imports it and forks: `Server.run` gives each of its children a command, an environment and a folder.
"""

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from pathlib import Path


class Server:
    """A process that forks; to be closed."""

    def __init__(self) -> None:
        known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # a job has its own
        read_on_import = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], env=known | read_on_import, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, *jobs: dict, together: bool = False) -> list[subprocess.CompletedProcess]:
        """Run jobs side by side, each a `job`; if one fails, those that run ``together`` with it are ended."""
        print(json.dumps({"jobs": jobs, "together": together}), file=self.process.stdin, flush=True)
        found = json.loads(self.process.stdout.readline())
        return [subprocess.CompletedProcess(job["arguments"], *one) for job, one in zip(jobs, found, strict=True)]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)


def job(arguments: list[str], folder: Path, environment: dict[str, str]) -> dict:
    """What follows `python` in a command (``-m MODULE ...``, ``-c CODE ...``, ``SCRIPT ...``), where, and in what."""
    return {"arguments": [str(word) for word in arguments], "folder": str(folder), "environment": environment}


def _serve() -> None:
    import sentence_transformers.sentence_transformer.trainer  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        started = {}
        for one in asked["jobs"]:
            said = [os.memfd_create(name) for name in ("output", "errors")]
            if (child := os.fork()) == 0:
                _do(one, *said)
            started[child] = said
        codes: dict[int, int] = {}
        while len(codes) < len(started):
            child, status = os.wait()
            codes[child] = os.waitstatus_to_exitcode(status)
            if codes[child] and asked["together"]:
                for other in started.keys() - codes.keys():
                    os.kill(other, signal.SIGTERM)
        texts = {child: [_read(file) for file in said] for child, said in started.items()}
        print(json.dumps([[codes[child], *texts[child]] for child in started]), flush=True)


def _read(file: int) -> str:
    with os.fdopen(file, "rb") as opened:
        opened.seek(0)
        return opened.read().decode()


def _do(one: dict, output: int, errors: int) -> None:
    """Be the process of a job."""
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(one["environment"])
    os.chdir(one["folder"])
    code = 0
    try:
        first, *sys.argv = one["arguments"]
        kind = first if first in ("-m", "-c") else ""
        sys.path[0] = "" if kind else str(Path(first).parent)  # it was this file's
        sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        if kind == "-m":
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            exec(sys.argv[0], {"__name__": "__main__"})
        else:
            sys.argv.insert(0, first)
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
