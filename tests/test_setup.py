"""Set-up: the three lists of pins agree, and setup.sh knows when to do nothing, what to redo and what to say.

The shell tests run the real setup.sh in a folder of its own with a stand-in for Python and uv on PATH, which records
what it is asked to do: no network, no installation. The last makes a real environment.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = [f"requirements{part}.lock" for part in ("", "-test", "-uv")]
RUN, TEST, UV = ((ROOT / name).read_text(encoding="utf-8") for name in LOCKS)
CUDA = re.compile(r"^(torch|triton|cuda|nvidia)")

FAKE_PYTHON = r"""#!/usr/bin/env bash
# Answers as a Python of version $FAKE_VERSION would, or as the uv that it installed; $FAKE_FAIL is a pattern of the
# commands that fail, $FAKE_CONFIG what pip's configuration holds.
called="${*}"
[ "${0##*/}" != uv ] || called="uv $called"
printf '%s\n' "${called//$'\n'/ }" >> "$FAKE_CALLS"
if [ -n "${FAKE_FAIL:-}" ] && [[ "$called" =~ $FAKE_FAIL ]]; then
    echo "ERROR: stand-in failure of $called" >&2
    exit 1
fi
case "$called" in
    "uv cache dir") echo "$FAKE_CALLS.cache" ;;
    "uv "*) echo "${UV_DEFAULT_INDEX:-} ${UV_INDEX:-} ${UV_FIND_LINKS:-} ${UV_NO_CACHE:-}" >> "$FAKE_CALLS.uv" ;;
    *version_info*) echo "${FAKE_VERSION:-3.12.5}" ;;
    --version) echo "Python ${FAKE_VERSION:-3.12.5}" ;;
    "-m venv "*)
        mkdir -p "$3/bin" "$3/share/jupyter/kernels/python3"
        echo "$FAKE_KERNEL" > "$3/share/jupyter/kernels/python3/kernel.json"
        cp "$0" "$3/bin/python"
        echo "version = ${FAKE_VERSION:-3.12.5}" > "$3/pyvenv.cfg" ;;
    *"config list") printf '%s\n' "${FAKE_CONFIG:-}" ;;
    *"import ast"*|*"import json"*) exec "$REAL_PYTHON" "$@" ;;
    *requirements-uv.lock) cp "$0" "${0%/*}/uv" ;;
esac
case "$called" in *requirements.lock) sleep "${FAKE_INSTALL_SECONDS:-0}" ;; esac
"""
KERNEL = {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3"}


def direct_pins() -> dict[str, str]:
    """What pyproject asks for in a checkout and for the tests, by canonical name."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    lines = extras["suite"] + extras["test"]
    return {canonical(Requirement(line).name): line for line in lines}


def locked_versions(lock: str = RUN + TEST) -> dict[str, str]:
    return {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.M)}


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


def test_the_locks_hold_every_direct_pin_but_torch():
    expected = {name: str(Requirement(line).specifier)[2:] for name, line in direct_pins().items()}
    assert expected.pop("torch") in (ROOT / "setup.sh").read_text(encoding="utf-8")
    locked = locked_versions()
    assert {name: locked.get(name) for name in expected} == expected


def test_the_build_requirement_is_in_the_lock():
    (setuptools,) = PYPROJECT["build-system"]["requires"]
    assert setuptools == f"setuptools=={locked_versions()['setuptools']}"


def test_what_only_tests_need_is_in_a_lock_of_its_own():
    wanted = {canonical(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}
    assert wanted - {"torch"} <= locked_versions(RUN).keys()
    assert not locked_versions(RUN).keys() & locked_versions(TEST).keys()
    assert {"pytest", "hypothesis", "ruff", "playwright", "mteb"} <= locked_versions(TEST).keys()


def test_uv_is_the_version_that_makes_the_locks():
    assert f'UV="uv=={locked_versions(UV)["uv"]}"' in (ROOT / ".ci/lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", [RUN, TEST, UV], ids=LOCKS)
def test_the_lock_names_no_index_and_no_cuda_package(lock: str):
    lines = [line for line in lock.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in lines if re.search(r"://|^-|--(extra-)?index|find-links| @ |/tmp", line)]
    assert not [name for name in locked_versions(lock) if CUDA.match(name)]


@pytest.mark.parametrize(("lock", "least"), [(RUN, 100), (TEST, 10), (UV, 1)], ids=LOCKS)
def test_every_locked_package_is_hashed(lock: str, least: int):
    blocks = re.split(r"\n(?=[\w.-]+==)", lock)[1:]
    assert len(blocks) == len(locked_versions(lock)) >= least
    assert not [block for block in blocks if "--hash=sha256:" not in block]


# --- setup.sh


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The set-up files in a folder with a space and an umlaut in its name; beside it the stand-in Pythons."""
    folder = tmp_path / "Prüf mappe"
    folder.mkdir()
    for name in ("setup.sh", "pyproject.toml", *LOCKS):
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
        **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        "PATH": f"{checkout.parent / 'bin'}:/usr/bin:/bin",
        "FAKE_CALLS": str(checkout.parent / "calls"),
        "FAKE_KERNEL": json.dumps(KERNEL),
        "REAL_PYTHON": sys.executable,
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
    steps = [call for call in calls if re.match(r"-m venv|.* install |uv pip check", call)]
    wanted = [
        "-m venv",
        "requirements-uv.lock",
        "uv pip install",
        "torch==2.13.0+cpu",
        "--no-build-isolation -e",
        "check",
    ]
    assert len(steps) == len(wanted), steps
    assert all(word in step for word, step in zip(wanted, steps, strict=True))
    assert [call for call in steps[1:3] if "--require-hashes --no-deps --only-binary :all: -r" not in call] == []
    assert printed.splitlines()[-1] == f"ready with {checkout}/.venv/bin/python"


def test_the_kernel_has_the_name_and_the_python_of_the_environment(checkout: Path):
    source(checkout)
    written = checkout / ".venv/share/jupyter/kernels/hybrid-batches/kernel.json"
    kernel = json.loads(written.read_text(encoding="utf-8"))
    assert kernel["display_name"] == "Hybrid batches"
    assert kernel["argv"][0] == f"{checkout}/.venv/bin/python" and kernel["argv"][-4:] == KERNEL["argv"][1:]


# --- uv, and pip where it fails


def test_where_uv_is_not_to_be_had_pip_does_all_and_a_line_says_so(checkout: Path):
    status, printed, calls = source(checkout, FAKE_FAIL="requirements-uv.lock")
    assert status == 0, printed
    assert printed.count("without uv pip installs, which takes minutes") == 1
    assert not [call for call in calls if call.startswith("uv ")]
    installs = [call for call in calls if " install " in call and "requirements-uv" not in call]
    assert all(call.startswith("-m pip") for call in installs)
    assert "--require-hashes --no-deps --only-binary :all: -r" in installs[0] and installs[0].endswith(
        "requirements.lock"
    )
    assert any(call.endswith("pip --disable-pip-version-check --no-input --quiet check") for call in calls)


def test_where_uv_fails_pip_tries_and_a_line_says_so(checkout: Path):
    status, printed, calls = source(checkout, FAKE_FAIL="^uv .*requirements.lock")
    assert status == 0, printed
    assert printed.count("uv could not install them (why: ") == 1
    tried = [call for call in calls if call.endswith("requirements.lock")]
    assert [call.split()[0] for call in tried] == ["uv", "-m"]
    assert all("--require-hashes" in call for call in tried)


def test_uv_is_told_what_pip_is_set_up_with(checkout: Path):
    (checkout.parent / "wheels").mkdir()
    told = [
        "global.index-url='https://mirror.example/simple'",
        "global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'",
        f":env:.find-links='{checkout.parent}/wheels /no/such/folder'",
        "global.find-links='/overruled'",
    ]
    status, printed, _ = source(checkout, FAKE_CONFIG="\n".join(told))
    assert status == 0, printed
    seen = (checkout.parent / "calls.uv").read_text(encoding="utf-8").splitlines()
    right = "https://mirror.example/simple https://one.example/simple https://two.example/simple"
    assert {line.strip() for line in seen} == {f"{right} {checkout.parent}/wheels"}


def test_uv_does_without_a_cache_where_none_can_be_written(checkout: Path):
    (checkout.parent / "calls.cache").write_text("in the way of a folder", encoding="utf-8")
    status, printed, _ = source(checkout)
    assert status == 0, printed
    assert set((checkout.parent / "calls.uv").read_text(encoding="utf-8").split()) == {"1"}


# --- when it is done again


def test_what_tests_need_is_added_once_and_is_not_needed_for_a_run(checkout: Path):
    assert not [call for call in source(checkout)[2] if "requirements-test" in call]
    status, printed, calls = source(checkout, SETUP_WITH="tests")
    assert status == 0, printed
    assert "-m venv" not in " ".join(calls)
    assert [call for call in calls if call.startswith("uv ") and call.endswith("requirements-test.lock")]
    assert source(checkout, SETUP_WITH="tests")[2] == source(checkout)[2] == []
    with (checkout / "requirements-test.lock").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert source(checkout)[2] == []
    assert any("requirements-test" in call for call in source(checkout, SETUP_WITH="tests")[2])


def test_a_failure_among_the_packages_of_tests_leaves_what_a_run_needs(checkout: Path):
    status, printed, _ = source(checkout, SETUP_WITH="tests", FAKE_FAIL="requirements-test.lock")
    assert status == 1 and 'error: "packages of the tests" failed' in printed
    assert source(checkout)[2] == []
    assert source(checkout, SETUP_WITH="tests")[0] == 0


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
        (r"deps torch", ["torch==2.13.0+cpu", "download.pytorch.org/whl/cpu torch==2.13.0+cpu"]),
        (
            r"torch==2.13.0\+cpu",
            ["torch==2.13.0+cpu", "download.pytorch.org/whl/cpu torch==2.13.0+cpu", " torch==2.13.0"],
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
        ("r .*requirements.lock", "pinned packages"),
        ("torch==", "torch==2.13.0"),
        ("no-build-isolation", "this project"),
        ("pip check", "consistency check"),
        ("import json", "Jupyter kernel"),
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


# --- for real


def make(checkout: Path) -> str:
    """Set up for real, with the code of this project beside the files; returns what was printed."""
    for folder in ("lib", "configs", "published"):  # what is installed
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    reach = [sys.executable, "-m", "pip", "--retries", "0", "--timeout", "10", "install", "--dry-run", "--no-deps"]
    reach += ["--ignore-installed", "-r", str(ROOT / "requirements-uv.lock")]
    if subprocess.run(reach, capture_output=True).returncode:
        pytest.skip("no package index can be reached")
    elsewhere = [place for place in os.environ["PATH"].split(":") if not place.startswith(sys.prefix)]
    script = (
        'set -euo pipefail; source "$1/setup.sh"; cd /; python -c "import torch, ipykernel; print(torch.__version__)"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(checkout)],
        env={**os.environ, "PATH": ":".join(elsewhere), "PIP_USER": "1"},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2.13.0")
    return done.stderr


@pytest.mark.slow
def test_an_environment_is_made_from_nothing(checkout: Path):
    printed = make(checkout)
    assert "minutes" not in printed, printed  # uv did it
    seconds = {label: int(took) for label, took in re.findall(r"\] (.+) \.\.\. (\d+) s", printed)}
    assert list(seconds)[-3:] == ["this project", "consistency check", "Jupyter kernel"]
    packages = checkout / ".venv/lib" / next(path.name for path in (checkout / ".venv/lib").iterdir()) / "site-packages"
    assert not (packages / "pytest").exists() and not (packages / "playwright").exists()
