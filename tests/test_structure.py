"""How `lib` is built: one staircase of packages, no circle, and files that a reader takes in at one sitting."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from lib.base import paths

# A package imports only what stands on a lower step; training and evaluation stand side by side.
STAIRCASE = [
    {"base"}, {"data"}, {"encoders"}, {"training", "evaluation"}, {"runs"}, {"evidence"}, {"figures"}, {"show"},
    {"interop"}, {"__main__"},
]  # fmt: skip
LINES, FUNCTION, FILES = 300, 45, 9

# What breaks a rule today. A line goes when it is mended; none is added.
LONG_FILES = {"evidence.findings", "evidence.verdicts", "training.sampling"}
LONG_FUNCTIONS = {"training.fit.fit"}
FULL_PACKAGES = {"data", "evidence", "figures", "show"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules() -> dict[str, Path]:
    """The files of `lib` by their dotted names, such as ``data.sets``."""
    found = {path: path.relative_to(paths.LIB).with_suffix("").parts for path in sorted(paths.LIB.rglob("*.py"))}
    return {".".join(parts): path for path, parts in found.items() if parts[-1] != "__init__"}


def imports(path: Path) -> set[str]:
    """The modules of `lib` that a file imports, also within its functions."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.removeprefix("lib.") for name in names if name.startswith("lib.")}
    return found & set(modules())


def step(module: str) -> int:
    return next(number for number, packages in enumerate(STAIRCASE) if module.split(".")[0] in packages)


def is_below(lower: str, upper: str) -> bool:
    return lower.split(".")[0] == upper.split(".")[0] or step(lower) < step(upper)


def test_every_file_stands_in_a_package_of_the_staircase():
    assert {name.split(".")[0] for name in modules()} == set().union(*STAIRCASE)
    assert {name for name in modules() if "." not in name} == {"__main__"}


def test_a_package_imports_only_from_below():
    against = {
        f"{name} -> {other}" for name, path in modules().items() for other in imports(path) if not is_below(other, name)
    }
    assert not against


def test_no_files_import_each_other_in_a_circle():
    graph = {name: imports(path) for name, path in modules().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the circle


def test_files_are_short():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name for name, lines in lengths.items() if lines > LINES} == LONG_FILES


def test_functions_are_short():
    long = {
        f"{name}.{node.name}"
        for name, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > FUNCTION
    }
    assert long == LONG_FUNCTIONS


def test_packages_are_small():
    packages = [path for path in sorted(paths.LIB.iterdir()) if (path / "__init__.py").exists()]
    counts = {path.name: len([file for file in path.glob("*.py") if file.name != "__init__.py"]) for path in packages}
    assert {name for name, files in counts.items() if files > FILES} == FULL_PACKAGES


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from lib.data import sets, catalog as rows", {"data.sets", "data.catalog"}),
        ("from lib.data.sets import ParallelSet", {"data.sets"}),
        ("def f():\n    import lib.base.paths", {"base.paths"}),
        ("from library import data\nimport json", set()),
    ],
)
def test_the_search_for_imports_finds_them(text, found, tmp_path):
    (tmp_path / "file.py").write_text(text)
    assert imports(tmp_path / "file.py") == found
