"""Set-up: the three lists of pins agree, and setup.sh knows when to do nothing, what to redo and what to say.

The shell tests run the real setup.sh in a folder of its own with a stand-in for Python on PATH, which records
what it is asked to do: no network, no installation.
"""

import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CUDA = re.compile(r"^(torch|triton|cuda|nvidia)")

FAKE_PYTHON = r"""#!/usr/bin/env bash
# Answers as a Python of version $FAKE_VERSION would; $FAKE_FAIL is a pattern of the commands that fail.
echo "${*}" >> "$FAKE_CALLS"
if [ -n "${FAKE_FAIL:-}" ] && [[ "$*" =~ $FAKE_FAIL ]]; then
    echo "ERROR: stand-in failure of $*" >&2
    exit 1
fi
case "$*" in
    *version_info*) echo "${FAKE_VERSION:-3.12.5}" ;;
    --version) echo "Python ${FAKE_VERSION:-3.12.5}" ;;
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        echo "version = ${FAKE_VERSION:-3.12.5}" > "$3/pyvenv.cfg" ;;
    *"-r "*requirements.lock) sleep "${FAKE_INSTALL_SECONDS:-0}" ;;
esac
"""


def direct_pins() -> dict[str, str]:
    """What pyproject asks for in a checkout and for the tests, by canonical name."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    lines = extras["suite"] + extras["test"]
    return {canonical(Requirement(line).name): line for line in lines}


def locked_versions() -> dict[str, str]:
    return {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.M)}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the three lists of pins


def test_every_direct_dependency_is_pinned_exactly():
    for line in direct_pins().values():
        assert re.fullmatch(r"==[\w.]+", str(Requirement(line).specifier)), line


def test_what_the_installed_package_needs_admits_the_pins():
    for line in PYPROJECT["project"]["dependencies"]:
        needed = Requirement(line)
        pin = Requirement(direct_pins()[canonical(needed.name)])
        assert needed.specifier.contains(str(pin.specifier)[2:]) and needed.marker == pin.marker, line


def test_environment_yml_lists_exactly_the_direct_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    listed = {canonical(Requirement(line).name): str(Requirement(line)) for line in pip}
    assert listed == {name: str(Requirement(line)) for name, line in direct_pins().items()}


def test_every_line_of_environment_yml_says_who_needs_it():
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    for before, line in zip(lines, lines[1:], strict=False):
        if re.match(r" +- .*==\d", line):
            assert "  # " in line or before.lstrip().startswith("#"), line


def test_the_lock_holds_every_direct_pin_but_torch():
    expected = {name: str(Requirement(line).specifier)[2:] for name, line in direct_pins().items()}
    assert expected.pop("torch") in (ROOT / "setup.sh").read_text(encoding="utf-8")
    locked = locked_versions()
    assert {name: locked.get(name) for name in expected} == expected


def test_the_build_requirement_is_in_the_lock():
    (setuptools,) = PYPROJECT["build-system"]["requires"]
    assert setuptools == f"setuptools=={locked_versions()['setuptools']}"


def test_the_lock_names_no_index_and_no_cuda_package():
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in lines if re.search(r"://|^-|--(extra-)?index|find-links| @ ", line)]
    assert not [name for name in locked_versions() if CUDA.match(name)]


def test_every_locked_package_is_hashed():
    blocks = re.split(r"\n(?=[\w.-]+==)", LOCK)[1:]
    assert len(blocks) == len(locked_versions()) > 100
    assert not [block for block in blocks if "--hash=sha256:" not in block]


# --- setup.sh


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The set-up files in a folder with a space and an umlaut in its name; beside it the stand-in Pythons."""
    folder = tmp_path / "Prüf mappe"
    folder.mkdir()
    for name in ("setup.sh", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (fakes / name).write_text(FAKE_PYTHON, encoding="utf-8")
        (fakes / name).chmod(0o755)
    (fakes / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    (fakes / "nvidia-smi").chmod(0o755)
    return folder


def start(checkout: Path, **fakes: str) -> subprocess.Popen[str]:
    (checkout.parent / "calls").touch()
    environment = {
        **os.environ,
        "PATH": f"{checkout.parent / 'bin'}:/usr/bin:/bin",
        "FAKE_CALLS": str(checkout.parent / "calls"),
        "LC_ALL": "C",
        **fakes,
    }
    script = 'set -euo pipefail; source "$1/setup.sh"; echo "ready with $(command -v python)"'
    return subprocess.Popen(
        ["bash", "-c", script, "bash", str(checkout)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def source(checkout: Path, **fakes: str) -> tuple[int, str, list[str]]:
    """Sources setup.sh; returns the exit status, what it printed, and its calls of the stand-in Python."""
    calls = checkout.parent / "calls"
    calls.write_text("", encoding="utf-8")
    process = start(checkout, **fakes)
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed, calls.read_text(encoding="utf-8").splitlines()


def test_first_run_installs_in_order_and_activates(checkout: Path):
    status, printed, calls = source(checkout)
    assert status == 0, printed
    steps = [call for call in calls if call.startswith("-m")]
    wanted = ["-m venv", "--require-hashes", "torch==2.13.0+cpu", "--no-build-isolation -e", "check"]
    wanted.append("ipykernel install --sys-prefix --name hybrid-batches")
    assert len(steps) == len(wanted)
    assert all(word in step for word, step in zip(wanted, steps, strict=True))
    assert printed.splitlines()[-1] == f"ready with {checkout}/.venv/bin/python"


def test_second_run_starts_no_python_and_prints_nothing(checkout: Path):
    source(checkout)
    assert source(checkout) == (0, f"ready with {checkout}/.venv/bin/python\n", [])


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "setup.sh", ".venv/pyvenv.cfg"])
def test_a_changed_ingredient_makes_it_again(checkout: Path, name: str):
    source(checkout)
    with (checkout / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert any("-m venv" in call for call in source(checkout)[2])
    assert source(checkout)[2] == []


def test_a_moved_checkout_makes_it_again(checkout: Path):
    source(checkout)
    moved = checkout.rename(checkout.parent / "moved")
    assert any("-m venv" in call for call in source(moved)[2])


def test_another_interpreter_behind_the_link_makes_it_again(checkout: Path):
    source(checkout)
    python = checkout / ".venv/bin/python"
    other = python.rename(python.with_name("python3.13"))
    python.symlink_to(other)
    assert any("-m venv" in call for call in source(checkout)[2])


def test_a_killed_set_up_is_made_again(checkout: Path):
    process = start(checkout, FAKE_INSTALL_SECONDS="30")
    wait_until(lambda: "requirements.lock" in (checkout.parent / "calls").read_text(encoding="utf-8"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (checkout / ".venv/pyvenv.cfg").exists()
    status, printed, calls = source(checkout)
    assert status == 0, printed
    assert any("-m venv" in call for call in calls)


def wait_until(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("has_flock", [True, False])
def test_of_two_at_once_one_works_and_the_other_waits(checkout: Path, has_flock: bool):
    if not has_flock:
        hide_flock(checkout)
    first = start(checkout, FAKE_INSTALL_SECONDS="1.5")
    wait_until(lambda: "requirements.lock" in (checkout.parent / "calls").read_text(encoding="utf-8"))
    second = start(checkout)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert "waiting for it" in outputs[1]
    assert (checkout.parent / "calls").read_text(encoding="utf-8").count("-m venv") == 1


def hide_flock(checkout: Path) -> None:
    """Makes setup.sh of this checkout look for a command that exists nowhere, as on macOS."""
    script = checkout / "setup.sh"
    text = script.read_text(encoding="utf-8")
    assert "command -v flock" in text
    script.write_text(text.replace("command -v flock", "command -v no-such-flock"), encoding="utf-8")


def test_the_lock_of_a_killed_set_up_is_taken_over_without_flock(checkout: Path):
    hide_flock(checkout)
    dead = subprocess.Popen(["true"])
    dead.wait()
    (checkout / ".venv.lock.d").mkdir()
    (checkout / ".venv.lock.d/pid").write_text(f"{dead.pid}\n", encoding="utf-8")
    status, printed, _ = source(checkout)
    assert status == 0, printed
    assert not (checkout / ".venv.lock.d").exists()


@pytest.mark.parametrize(
    ("failing", "tried"),
    [
        ("no-failure", ["torch==2.13.0+cpu"]),
        (r"timeout 10 torch", ["torch==2.13.0+cpu", "download.pytorch.org/whl/cpu torch==2.13.0+cpu"]),
        (
            r"torch==2.13.0\+cpu",
            ["torch==2.13.0+cpu", "download.pytorch.org/whl/cpu torch==2.13.0+cpu", "install torch==2.13.0"],
        ),
    ],
)
def test_torch_comes_from_the_first_source_that_has_it(checkout: Path, failing: str, tried: list[str]):
    status, printed, calls = source(checkout, FAKE_FAIL=failing)
    assert status == 0, printed
    torch = [call for call in calls if "torch==" in call]
    assert len(torch) == len(tried)
    assert all(call.endswith(end) for call, end in zip(torch, tried, strict=True))


def test_a_machine_with_a_gpu_gets_the_plain_torch(checkout: Path):
    (checkout.parent / "bin/nvidia-smi").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    calls = source(checkout)[2]
    assert [call.split()[-1] for call in calls if "torch==" in call] == ["torch==2.13.0"]


@pytest.mark.parametrize(
    ("failing", "step"),
    [
        ("-m venv", "virtual environment"),
        ("require-hashes", "pinned packages"),
        ("torch==", "torch==2.13.0"),
        ("no-build-isolation", "this project"),
        ("pip.* check", "consistency check"),
        ("ipykernel", "Jupyter kernel"),
    ],
)
def test_a_failed_step_is_named_with_its_output_and_leaves_no_stamp(checkout: Path, failing: str, step: str):
    status, printed, _ = source(checkout, FAKE_FAIL=failing)
    assert status == 1
    assert f'error: "{step}" failed' in printed
    assert "    ERROR: stand-in failure of" in printed
    assert "setup.log" in printed and "ready with" not in printed
    assert not (checkout / ".venv/.setup-stamp").exists()
    assert source(checkout)[0] == 0


@pytest.mark.parametrize("version", ["3.8.18", "2.7.18", "3.10.13", "3.15.0"])
def test_an_unsuitable_python_ends_in_one_clear_line(checkout: Path, version: str):
    status, printed, _ = source(checkout, FAKE_VERSION=version)
    assert status == 1
    assert printed.startswith("[set-up] error: Python 3.11 to 3.14 is needed on PATH; found: python3 is")
    assert f"python3 is {version}, python3.13 is {version}" in printed
    assert printed.count("\n") == 1
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_told_how_to_get_it(checkout: Path):
    status, printed, _ = source(checkout, FAKE_FAIL="ensurepip")
    assert status == 1
    assert "python3 has no venv (on Debian or Ubuntu: apt install python3.12-venv)" in printed
    assert printed.count("\n") == 1


def test_a_shim_without_a_python_behind_it_is_passed_over(checkout: Path):
    shim = checkout.parent / "bin/python3"
    shim.write_text("#!/bin/sh\necho 'no such version' >&2\nexit 127\n", encoding="utf-8")
    status, printed, _ = source(checkout)
    assert status == 0, printed
