"""The machine misbehaves: full disks, closed folders, locale C, odd paths, two runs at once: one line, and no harm."""

import contextlib
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import forked
import nbformat
import pytest
import synthetic

from lib import __main__ as command
from lib.base import config, paths
from lib.base import store as artifacts
from lib.evidence import judge as evidence
from lib.evidence import tables
from lib.figures import drawn
from lib.runs import cells
from lib.runs import plan as grid
from lib.show import notebooks as suite

TEXTS = {  # one token each, in scripts that no 8-bit encoding has together
    "en": "question answer", "th": "คำถาม คำตอบ", "zh": "问题 回答", "ar": "سؤال جواب",
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """An encoder, training rows and test rows in four scripts."""
    folder = tmp_path_factory.mktemp("inputs")
    words = []
    for name, count in (("train", 24), ("test", 20)):
        rows = [
            {
                "id": f"{name}{n}",
                "q": {language: f"{pair.split()[0]}{n}" for language, pair in TEXTS.items()},
                "p": {language: f"{pair.split()[1]}{n}" for language, pair in TEXTS.items()},
                "split": name,
            }
            for n in range(count)
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        words += [text for row in rows for side in "qp" for text in row[side].values()]
    synthetic.encoder(words, dimension=32).save(str(folder / "tiny"), create_model_card=False)
    return folder


def settings(folder: Path | str, *more: str) -> list[str]:
    """A run of two cells on the inputs in a folder, as typed on the command line."""
    chosen = ["steps=4", "batch_size=8", "warmup_steps=1", "strategies=[none,hybrid]", f"encoder={folder}/tiny"]
    chosen += [f"train={folder}/train.jsonl", f"eval={folder}/test.jsonl", *more]
    return ["--profile", "smoke", *(part for text in chosen for part in ("--set", text))]


def one_line(capsys, *words: str) -> str:
    """What was said on stderr: one line, of an error, that holds the words."""
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    for word in words:
        assert word in said
    return said


# --- disks: full, too small for a file, closed ---


@pytest.fixture
def disk(tmp_path):
    """A file system of 400 kB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=400k", "tmpfs"]
    if not shutil.which("mount") or subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, leaving: int = 0) -> Path:
    """A file that takes all room of a disk, but for some bytes."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(filler, filler.stat().st_size - leaving)
    return filler


def write_notebook(path: Path, *lines: str) -> None:
    code = [nbformat.v4.new_code_cell(text) for text in ('profile = ""\noverrides = []', *lines)]
    code[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), path)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_full_disk_leaves_the_old_file_and_is_named_with_the_file(disk):
    path = disk / "table.csv"
    artifacts.write_text(path, "old\n")
    with pytest.raises(OSError, match=r"No space left on device: '.*/table\.csv'"):
        artifacts.write_text(path, "new " * 150_000)
    assert files(disk) == {"table.csv": b"old\n"}


def test_a_file_beyond_the_limit_leaves_the_old_one(tmp_path):
    path = tmp_path / "table.csv"
    artifacts.write_text(path, "old\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/table\.csv'"):
            artifacts.write_text(path, "new " * 150_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == {"table.csv": b"old\n"}


def test_a_full_disk_in_the_results_is_one_line_and_the_run_goes_on_when_there_is_room(
    disk, inputs, own_folders, monkeypatch, capsys
):
    monkeypatch.setenv("HYBRID_RESULTS", str(disk / "results"))
    filler = fill(disk)
    asked = [*settings(inputs), "--cells", "*none"]
    assert command.main(asked) == 1
    one_line(capsys, "/results/smoke-", "No space left on device", "what is finished is kept")
    assert set(files(disk)) <= {"filler"}
    filler.unlink()
    assert command.main(asked) == 0


def test_a_full_disk_in_the_store_is_one_line_and_leaves_no_half_model(disk, inputs, own_folders, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_STORE", str(disk / "store"))
    filler = fill(disk, leaving=20_000)
    asked = [*settings(inputs), "--cells", "*hybrid*"]
    assert command.main(asked) == 1
    one_line(capsys, "/store/models/", "No space left on device")
    assert not [p for p in (disk / "store" / "models").iterdir() if p.is_dir()]
    assert not list(paths.results().rglob("*.json"))
    filler.unlink()
    assert command.main(asked) == 0
    ranks = [p.read_bytes() for p in paths.results().rglob("*.parquet")]
    monkeypatch.setenv("HYBRID_STORE", str(own_folders / "store"))
    monkeypatch.setenv("HYBRID_RESULTS", str(own_folders / "elsewhere"))
    assert command.main(asked) == 0
    assert [p.read_bytes() for p in paths.results().rglob("*.parquet")] == ranks


def test_a_disk_that_may_not_be_written_is_one_line_and_what_it_holds_can_be_used(
    disk, inputs, own_folders, monkeypatch, capsys
):
    run = config.load("smoke", settings(inputs)[3::2])
    none = grid.plan(run.config)[0]
    monkeypatch.setenv("HYBRID_RESULTS", str(disk / "results"))
    cells.finish(run, none)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = files(disk)
    assert command.main([*settings(inputs), "--cells", "*none"]) == 0  # is there
    capsys.readouterr()
    assert command.main([*settings(inputs), "--cells", "*hybrid*"]) == 1
    one_line(capsys, str(disk), "Read-only file system")
    assert files(disk) == before


@pytest.mark.parametrize("variable", ["HYBRID_RESULTS", "HYBRID_STORE"])
def test_a_file_where_a_folder_belongs_is_one_line(variable, inputs, own_folders, monkeypatch, capsys):
    taken = own_folders / "taken"
    taken.write_text("mine")
    monkeypatch.setenv(variable, str(taken))
    assert command.main([*settings(inputs), "--cells", "*hybrid*"]) == 1
    one_line(capsys, str(taken))
    assert taken.read_text() == "mine"


def test_a_disk_that_refuses_the_last_step_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    artifacts.write_text(path, "old\n")

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=r"Read-only file system: '.*/table\.csv'"):
        artifacts.write_text(path, "new\n")
    assert files(tmp_path) == {"table.csv": b"old\n"}


# --- no memory ---


def test_a_kernel_that_the_system_kills_is_one_line_of_the_command(inputs, own_folders, monkeypatch, capsys):
    monkeypatch.setattr(paths, "NOTEBOOKS", own_folders / "notebooks")
    write_notebook(
        paths.NOTEBOOKS / "01_hungry.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "1 + 1"
    )
    assert command.main(settings(inputs)) == 1
    one_line(capsys, "01_hungry.ipynb, cell 2: ", "Kernel died", "out of memory")


# --- processes: locale C in a folder of odd letters, two at once, a reader that leaves ---

LOCALE_C = {"LC_ALL": "C", "LANG": "C"}
ASCII_ONLY = LOCALE_C | {"PYTHONUTF8": "0", "PYTHONIOENCODING": ""}  # Python itself turns to UTF-8 in locale C, else


def start(arguments: list[str], root: Path = paths.ROOT, **environment: str) -> subprocess.Popen:
    """``python -m lib``, or ``python -c``, in folders of its own checkout unless the environment names others."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("HYBRID_")}
    return subprocess.Popen(
        [sys.executable, *(arguments if arguments[0] == "-c" else ["-m", "lib", *arguments])],
        cwd=root,
        env=known | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_checkout_of_any_name_in_locale_c_gives_the_same_bytes(inputs, own_folders, monkeypatch):
    clone = own_folders / "née clone ü 克隆"
    for name in ("lib", "configs", "published"):
        shutil.copytree(paths.ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    write_notebook(
        clone / "notebooks" / "01_all.ipynb",
        "import lib\nrun = lib.open(profile, overrides)\nprint(lib.banner(run))",
        'lib.judge(run)\nlib.draw(run, "map_by_setting")',
    )
    shutil.copytree(inputs, clone / "my data")
    asked = settings("my data")
    process = start(asked, clone, **LOCALE_C)

    with monkeypatch.context() as patch:  # meanwhile the same in this process, in its own locale
        patch.chdir(clone)
        run = config.load("smoke", asked[3::2])
        for cell in grid.plan(run.config):
            cells.finish(run, cell)
        tables.write(run)
        evidence.write(run)
        shown, said = process.communicate(timeout=600)
        assert process.returncode == 0, said.decode()
        assert b"run smoke-" in shown and b"all done" in shown
        theirs = clone / "results" / run.name
        for name in (
            *tables.TABLES,
            *evidence.FILES,
            *(f"cells/{cell.id}.parquet" for cell in grid.plan(run.config)),
        ):
            assert (theirs / name).read_bytes() == (run.folder / name).read_bytes(), name
        patch.setenv("HYBRID_RESULTS", str(clone / "results"))
        assert drawn.current(run)


READER = """
import sys
from lib.base import config
from lib.data import catalog as data
from lib.evidence import tables
from lib.runs import open as runs
run = config.load("smoke", sys.argv[1:])
print(runs.banner(run))
tables.save(run, "texts.csv", data.evaluation_set(run.config.eval[0]).queries)
"""


def test_texts_of_all_scripts_are_read_and_written_where_the_locale_knows_ascii_only(inputs, own_folders):
    process = start(["-c", READER, *settings(inputs)[3::2]], HYBRID_RESULTS=str(own_folders), **ASCII_ONLY)
    shown, said = process.communicate(timeout=600)
    assert (process.returncode, said) == (0, b"")
    assert shown.startswith(b"run smoke-")
    (written,) = own_folders.rglob("texts.csv")
    text = written.read_text(encoding="utf-8")
    assert all(f"{pair.split()[0]}7" in text for pair in TEXTS.values())


def test_a_notebook_that_could_not_be_written_whole_is_still_one_line(tmp_path):
    kept = tmp_path / "01_x.failed.ipynb"
    kept.write_text('{"cells": [')
    said = suite._explain(Path("01_x.ipynb"), OSError(errno.ENOSPC, "No space left on device"), kept)
    assert said.startswith("01_x.ipynb: OSError: [Errno 28] No space left on device") and "\n" not in said


def test_two_runs_at_once_in_one_folder_train_once_and_both_end_well(forking, inputs, own_folders):
    folders = {name: str(own_folders / name.lower()) for name in ("HYBRID_RESULTS", "HYBRID_STORE")}
    asked = ["-m", "lib", *settings(inputs), "--cells", "*"]
    for process in forking.run(*[forked.job(asked, paths.ROOT, os.environ | folders)] * 2):
        assert process.returncode == 0, process.stderr
    run = config.load("smoke", settings(inputs)[3::2])
    for cell in grid.plan(run.config):
        theirs = own_folders / "hybrid_results" / run.name / "cells" / f"{cell.id}.parquet"
        cells.finish(run, cell)
        assert theirs.read_bytes() == (run.folder / "cells" / theirs.name).read_bytes()
        assert artifacts.read_sealed(theirs.with_suffix(cells.RECORD))["sha256"] == artifacts.file_digest(theirs)
    models = [p for p in (own_folders / "hybrid_store" / "models").iterdir() if p.is_dir()]
    assert len(models) == 1 and artifacts.intact(models[0])
    assert not [p for p in own_folders.rglob(".*") if p.suffix != ".lock"]  # nothing half-made is left


def test_a_reader_that_has_seen_enough_ends_the_run_without_a_traceback(inputs, own_folders):
    process = start([*settings(inputs), "--dry-run"])
    process.stdout.close()  # as `head` does
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141
