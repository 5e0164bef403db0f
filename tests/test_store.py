"""The store's promises: whole files or none, damage is noticed and mended, work is done once."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import paths
from lib.base import store as artifacts

ROOT = Path(__file__).resolve().parent.parent


def make(inputs: dict, text: str, calls: list | None = None) -> Path:
    """An artifact of two files, one of them in a folder."""

    def build(folder: Path) -> None:
        if calls is not None:
            calls.append(text)
        (folder / "a.txt").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))

    return artifacts.make("things", inputs, build)


def touch_later(path: Path) -> None:
    """Give a file a time of change that is surely another, however coarse the clock."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


# --- single files ---


def test_equal_values_have_equal_digests_and_others_do_not():
    assert artifacts.digest({"a": 1, "b": (2, 3)}) == artifacts.digest({"b": [2, 3], "a": 1})
    assert artifacts.digest({"a": 1}) != artifacts.digest({"a": "1"})
    # SHA-256 of {"a":"\u00e9"}, from sha256sum
    assert artifacts.digest({"a": "é"}) == "57e512a1ff02f75e939e93d2196b8d29ad3721b70ce25a601402d26410f453a2"


def test_a_text_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "table.csv"
    artifacts.write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), artifacts.replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with artifacts.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".csv"  # writers that go by the suffix do the right thing
    assert path.read_text() == "new"


# --- sealed JSON ---

VALUE = {"id": "é", "numbers": [1, 2.5e-07, 1e22], "made": {"cores": 2, "none": None}}


def test_sealed_values_come_back(tmp_path):
    artifacts.write_sealed(tmp_path / "x.json", VALUE)
    assert artifacts.read_sealed(tmp_path / "x.json") == VALUE


def test_what_is_missing_or_not_sealed_is_not_read(tmp_path):
    path = tmp_path / "x.json"
    assert artifacts.read_sealed(path) is None
    for text in ("", "{", "[]", "3", "null", '"seal"', json.dumps(VALUE), '{"seal": "abc"}', '{"a": NaN, "seal": ""}'):
        path.write_text(text)
        assert artifacts.read_sealed(path) is None, text
    path.write_bytes(b"\xff\xfe")
    assert artifacts.read_sealed(path) is None


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_change_of_a_byte_and_no_truncation_gives_another_value(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("sealed") / "x.json"
    artifacts.write_sealed(path, VALUE)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:at])
    else:
        path.write_bytes(whole[:at] + data.draw(st.binary(min_size=1, max_size=1)) + whole[at + 1 :])
    assert artifacts.read_sealed(path) in (None, VALUE)  # a changed line break changes no value


def test_a_number_that_a_flipped_byte_makes_infinite_is_damage(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_sealed(path, VALUE)
    path.write_text(path.read_text().replace("e-07", "e907"))
    assert artifacts.read_sealed(path) is None


# --- what files were made from ---


@pytest.mark.parametrize("change", ["nothing", "input", "input gone", "file changed", "file gone", "seal gone"])
def test_files_are_current_while_they_and_what_they_were_made_from_are_the_same(tmp_path, change):
    seal, file = tmp_path / "seal.json", tmp_path / "table.csv"
    file.write_text("a,b\n")
    artifacts.write_seal(seal, {"cells": ["x", None], "code": {"data": "1"}}, [file], machine="any")
    made_from = {"cells": ["x", None], "code": {"data": "1"}}
    assert artifacts.read_sealed(seal)["machine"] == "any"
    if change == "input":
        made_from["code"] = {"data": "2"}
    elif change == "input gone":
        made_from["rules"] = None
    elif change == "file changed":
        file.write_text("a,c\n")
    elif change.endswith("gone"):
        (file if change == "file gone" else seal).unlink()
    assert artifacts.is_current(seal, made_from, tmp_path) == (change == "nothing")


def test_a_seal_of_no_file_is_never_current(tmp_path):
    artifacts.write_sealed(tmp_path / "seal.json", {"code": "1"})
    assert not artifacts.is_current(tmp_path / "seal.json", {"code": "1"}, tmp_path)


# --- artifacts ---


def test_an_artifact_is_built_once_and_lists_what_it_was_made_from(own_folders):
    calls = []
    first, second = make({"n": 1}, "x", calls), make({"n": 1}, "x", calls)
    assert first == second
    assert calls == ["x"]
    assert first.parent == paths.store() / "things"
    manifest = artifacts.read_sealed(first / artifacts.MANIFEST)
    assert manifest["inputs"] == {"n": 1}
    assert manifest["files"]["a.txt"] == [1, artifacts.file_digest(first / "a.txt")]
    assert set(manifest["files"]) == {"a.txt", "deep/b.bin"}


def test_other_inputs_or_another_kind_are_another_artifact(own_folders):
    calls = []
    folders = {make({"n": 1}, "x", calls), make({"n": 2}, "x", calls), make({"m": 1}, "x", calls)}
    folders.add(artifacts.make("others", {"n": 1}, lambda folder: (folder / "a.txt").write_text("x")))
    assert len(folders) == 4
    assert len(calls) == 3


def test_a_discarded_artifact_is_made_again_and_others_stay(own_folders):
    calls = []
    one, other = make({"n": 1}, "one", calls), make({"n": 2}, "two", calls)
    artifacts.discard("things", {"n": 1})
    artifacts.discard("things", {"n": 3})  # was never there
    assert not one.exists() and artifacts.intact(other)
    make({"n": 1}, "one", calls)
    assert calls == ["one", "two", "one"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, remove])
@pytest.mark.parametrize("name", ["a.txt", "deep/b.bin", artifacts.MANIFEST])
def test_damage_is_noticed_and_made_again(damage, name, own_folders, capsys):
    calls = []
    folder = make({"n": 1}, "the text", calls)
    before = (folder / name).read_bytes()
    damage(folder / name)
    if (folder / name).exists():
        touch_later(folder / name)
    assert not artifacts.intact(folder)
    assert make({"n": 1}, "the text", calls) == folder
    assert calls == ["the text"] * 2
    assert (folder / name).read_bytes() == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "things" in said and "damaged" in said


@pytest.mark.parametrize("name", ["a.txt", artifacts.MANIFEST])
def test_a_file_of_another_artifact_is_noticed(name, own_folders):
    calls = []
    one, other = make({"n": 1}, "one", calls), make({"n": 2}, "two", calls)  # files of equal size
    os.replace(other / name, one / name)
    make({"n": 1}, "one", calls)
    assert calls == ["one", "two", "one"]
    assert (one / "a.txt").read_text() == "one"


def test_a_whole_folder_of_another_artifact_is_noticed(own_folders):
    calls = []
    one, other = make({"n": 1}, "one", calls), make({"n": 2}, "two", calls)
    shutil.rmtree(one)
    other.rename(one)
    make({"n": 1}, "one", calls)
    assert calls == ["one", "two", "one"]
    assert (one / "a.txt").read_text() == "one"


def test_a_builder_that_fails_leaves_nothing_that_counts(own_folders):
    def build(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        artifacts.make("things", {"n": 1}, build)
    assert not [path for path in (own_folders / "store" / "things").iterdir() if path.is_dir()]
    assert (make({"n": 1}, "whole") / "a.txt").read_text() == "whole"


# --- several processes ---

BUILDER = """
import sys, time
from pathlib import Path
from lib.base import store as artifacts

def build(folder):
    with open(sys.argv[1], "a") as log:
        log.write("started\\n")
    (folder / "a.txt").write_text("half")
    time.sleep(float(sys.argv[2]))
    (folder / "a.txt").write_text("whole")

print(artifacts.make("things", {"n": 1}, build))
"""


def start(log: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILDER, str(log), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    limit = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < limit, f"{path.name} has not come"
        time.sleep(0.01)


def test_a_killed_builder_leaves_nothing_that_counts(own_folders):
    log = own_folders / "log"
    process = start(log, 60)
    wait_for(log)
    process.send_signal(signal.SIGKILL)
    process.wait()
    calls = []
    folder = make({"n": 1}, "whole", calls)  # the lock went with the process: this does not wait
    assert calls == ["whole"]
    assert artifacts.intact(folder)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_two_processes_that_want_one_artifact_build_it_once(own_folders):
    log = own_folders / "log"
    processes = [start(log, 0.5), start(log, 0.5)]
    folders = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert log.read_text() == "started\n"
    assert len(folders) == 1
    assert (Path(folders.pop().strip()) / "a.txt").read_text() == "whole"


# --- code ---


def test_the_digest_of_a_package_is_that_of_all_its_files_however_deep(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LIB", tmp_path)
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "rows.tsv").write_text("1\n")
    (tmp_path / "alone.py").write_text("")
    before = artifacts.code(["", "data", "alone"])
    (tmp_path / "data" / "deep" / "rows.tsv").write_text("2\n")
    (tmp_path / "data" / "__pycache__").mkdir()
    (tmp_path / "data" / "__pycache__" / "rows.pyc").write_text("compiled")
    changed = artifacts.code(["", "data", "alone"])
    assert [name for name in before if changed[name] != before[name]] == ["", "data"]
    (tmp_path / "data" / "deep" / "rows.tsv").rename(tmp_path / "data" / "rows.tsv")
    assert artifacts.code(["data"]) != {"data": changed["data"]}
    assert artifacts.code(["alone"]) == {"alone": artifacts.file_digest(tmp_path / "alone.py")}


def test_a_limit_on_the_size_of_files_is_named_where_a_library_has_words_of_its_own(own_folders):
    def build(folder):
        raise RuntimeError("SafetensorError: Error while serializing: I/O error: File too large (os error 27)")

    with pytest.raises(OSError) as error:
        artifacts.make("models", {"of": "a test"}, build)
    assert error.value.errno == errno.EFBIG and "models" in error.value.filename
