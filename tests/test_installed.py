"""Installed with pip the suite is `hybrid_batches`, beside whatever `lib` a person has; in a checkout it is `lib`."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import synthetic
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lib
from lib import __main__ as command
from lib.base import paths

PACKED = ("pyproject.toml", "lib", "configs", "published", "LICENSE", "README.md")
TRACKED = PACKED[1:4]

NOTEBOOKS_NEED = ("matplotlib", "papermill", "jupyterlab", "ipykernel", "nbconvert", "ipywidgets")

SCRIPT = f"""
import importlib.util, json, sys
assert not any(map(importlib.util.find_spec, {NOTEBOOKS_NEED}))
import lib
from hybrid_batches import Pairs, Strategy, UserError, audit
from hybrid_batches.interop import audit as command

assert lib.MINE
pairs = Pairs.listed(*json.loads(open("columns.json").read()))
batch = next(iter(Strategy("hybrid", alpha=0.5).sampler(pairs)(pairs.anchor, batch_size=4)))
found = audit("static", "own.jsonl")
value = found.query("measure == 'map' and language == 'all' and setting == 'multilingual'")["value"].item()
print(json.dumps([batch, value]))
command.main(["--help"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from what it is made of, away from what other builds leave in a checkout."""
    place = tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        copy = shutil.copytree if (paths.ROOT / name).is_dir() else shutil.copy
        copy(paths.ROOT / name, place / name)
    build = "from setuptools import build_meta as b; import sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(place)], cwd=place, check=True, capture_output=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The Python of a new environment with the wheel, and those packages of this one alone that the wheel asks for."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    with zipfile.ZipFile(wheel) as archive:  # all there is to the installation of a wheel without scripts
        archive.extractall(site)
    (packed,) = site.glob("hybrid_batches-*.dist-info")
    for distribution in asked_for(metadata.Distribution.at(packed)).values():
        for name in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / name).exists():  # packages of one namespace share a folder
                (site / name).symlink_to(distribution.locate_file(name))
    return place / "bin" / "python"


def asked_for(root: metadata.Distribution) -> dict[str, metadata.Distribution]:
    """The packages that one asks for, without extras, and those that they ask for in turn."""
    found, left = {}, [root]
    while left:
        for requirement in map(Requirement, left.pop().requires or ()):
            if canonicalize_name(requirement.name) in found or not holds(requirement):
                continue
            found[canonicalize_name(requirement.name)] = metadata.distribution(requirement.name)
            left.append(found[canonicalize_name(requirement.name)])
    return found


def holds(requirement: Requirement) -> bool:
    """Whether a requirement is one of this machine, and of no extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A person's project: a package `lib` of their own, rows of their own."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("MINE = True\n", encoding="utf-8")
    rows = synthetic.rows(8, ("de", "en"))
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    listed = [(row["id"], a, b, row["p"][b]) for row in rows for a in row["q"] for b in row["p"]]
    (tmp_path / "columns.json").write_text(json.dumps(list(zip(*listed, strict=True))), encoding="utf-8")
    for name in ("PYTHONPATH", "HYBRID_STORE", "HYBRID_RESULTS", "HYBRID_FROM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def run(python: Path, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], cwd=project, capture_output=True, text=True, env=os.environ)


def test_the_wheel_holds_all_of_the_code_and_nothing_called_lib(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"hybrid_batches"}
    files = subprocess.run(["git", "ls-files", *TRACKED], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.splitlines():
        assert (name.replace("lib/", "hybrid_batches/", 1) if name[:4] == "lib/" else f"hybrid_batches/{name}") in names


def test_every_package_is_listed():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {path.parent.relative_to(paths.LIB) for path in paths.LIB.rglob("__init__.py")}
    wanted = {".".join(["hybrid_batches", *path.parts]) for path in packages}
    assert wanted <= set(project["tool"]["setuptools"]["packages"])


def test_sampler_and_audit_work_beside_a_lib_of_one_s_own(installed, project):
    ended = run(installed, project, "-c", SCRIPT)
    assert ended.returncode == 0, ended.stderr
    first, usage = ended.stdout.splitlines()[:2]
    batch, value = json.loads(first)
    assert len(set(batch)) == 4 and 0 < value <= 1
    assert usage.startswith("usage: python -m hybrid_batches.interop.audit")
    assert {path.name for path in project.iterdir()} == {"lib", "own.jsonl", "columns.json", "cache"}


@pytest.mark.parametrize("arguments", [["--profile", "smoke"], ["--lab"]])
def test_what_needs_the_notebooks_says_so_in_one_line(arguments, installed, project):
    ended = run(installed, project, "-m", "hybrid_batches", *arguments)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.count("\n") == 1 and "needs a clone of the repository" in ended.stderr


def test_in_a_checkout_the_package_is_called_lib():
    assert paths.IS_CHECKOUT and paths.PACKAGE == "lib" == lib.__name__
    assert paths.COMMAND == "./run_all.sh" and Path(__file__).parents[1] == paths.ROOT
    command.need_checkout("nothing")
