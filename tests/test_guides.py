"""What README and the guides say can be typed: every example is run, every link leads somewhere, the papers agree."""

import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest
import synthetic
import yaml

import lib
from lib import __main__ as command
from lib.base import config, paths
from lib.data import jsonl
from lib.encoders.catalog import ENCODERS
from lib.runs import plan as grid

GUIDES = sorted((paths.ROOT / "docs" / "guides").glob("*.md"))
FOLLOWED = ("sampler", "faq", "centring")  # by tests of their own, which look at what comes of it
OPTIONAL = ("mteb", "pytrec_eval")  # packages of examples that are not run where they are not installed
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"[A-Z_]+=\S*")

# Commands of README that are only read here, by a word of theirs, and why. Arguments of the suite are still checked.
NOT_RUN = {
    "./run_tests.sh": "this test is a part of it",
    "pip": "it needs a package index",
    "torchrun": "it needs two GPUs; tests/test_distributed.py runs two processes",
    "--ray": "Ray is an extra package; tests/test_cluster.py",
    "--cells": "it trains for hours",
    "--lab": "it opens JupyterLab, and stays",
}


def blocks(page: Path) -> Iterator[tuple[str, str, int]]:
    """The fenced blocks of a page: language, content, and the number of the first line."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield found[1], found[2], text.count("\n", 0, found.start()) + 2


def commands(block: str) -> list[str]:
    """The commands of a block, without comments."""
    lines = [" ".join(shlex.split(line, comments=True)) and line for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.strip()]


def arguments(words: list[str]) -> tuple[str, list[str]] | None:
    """The module of the suite that a command starts, and its arguments; None for other commands."""
    if words[0] == "./run_all.sh":  # which sets up, and then does this
        return "lib.__main__", words[1:]
    if "-m" in words and (module := words[words.index("-m") + 1]).split(".")[0] == "lib":
        return module if module != "lib" else "lib.__main__", words[words.index("-m") + 2 :]
    return None


def run(line: str, here: Path, monkeypatch) -> None:
    """Run a command as typed; what the suite does, in this process."""
    words = shlex.split(line, comments=True)
    while SETTING.fullmatch(words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if suite := arguments(words):
        module, given = suite
        assert importlib.import_module(module).main(given) == 0, line
    else:
        subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=here, check=True, timeout=60)


@pytest.fixture
def here(own_folders, kept, monkeypatch) -> Path:
    """An empty folder in the place of the project's, with results, and a store with what other tests have made."""
    synthetic.store_with(kept, own_folders, "models")
    place = own_folders / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    return place


def follow(guide: Path, here: Path, monkeypatch) -> dict:
    """Do what a guide says, in its order; returns the names that its Python blocks define."""
    names: dict = {}
    lacking: list[str] = []
    for language, content, line in blocks(guide):
        needed = [name for name in OPTIONAL if f"import {name}\n" in content]
        if absent := [name for name in needed if find_spec(name) is None]:
            lacking += absent
        elif language == "python":
            exec(compile("\n" * (line - 1) + content, guide, "exec"), names)
        elif language == "bash":
            for typed in commands(content):
                run(typed, here, monkeypatch)
        elif language == "jsonl":
            (here / "shown.jsonl").write_text(content, encoding="utf-8")
            jsonl.read_rows(here / "shown.jsonl")
        else:
            pytest.fail(f"{guide.name}, line {line}: a block of '{language}', which nothing here can run")
    if lacking:
        pytest.skip(f"all examples ran but those that need {', '.join(lacking)}")
    return names


# --- the public names ---


def test_every_example_of_the_page_of_names_runs(here, monkeypatch):
    names = follow(paths.ROOT / "docs" / "api.md", here, monkeypatch)
    assert {"none", "x-x-mono", "x-y"} <= {name for _, _, name in lib.main_table(names["run"]).index}
    assert names["vectors"].shape[0] == 2


def test_the_page_of_names_lists_them_all_and_no_other():
    text = (paths.ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `lib."))
    assert re.findall(r"`lib\.(\w+)", rows) == lib.__all__


def test_a_name_that_lib_does_not_have_is_an_attribute_error():
    assert set(lib.__all__) <= set(dir(lib))
    with pytest.raises(AttributeError, match="has no attribute 'headline'"):
        lib.headline  # noqa: B018 - asked for, so that it fails


# --- the guides ---


@pytest.mark.parametrize("guide", [page for page in GUIDES if page.stem not in FOLLOWED], ids=lambda page: page.stem)
def test_every_example_of_a_guide_runs(guide, here, monkeypatch):
    follow(guide, here, monkeypatch)


def test_the_guide_of_encoders_names_all_that_the_suite_knows():
    text = (paths.ROOT / "docs" / "guides" / "encoder.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `e5-small-q4`"))
    assert set(re.findall(r"`([^`]+)`", row)) == set(ENCODERS)


def test_the_guide_of_the_faq_ends_with_a_model_that_finds_answers(here, monkeypatch):
    names = follow(paths.ROOT / "docs" / "guides" / "faq.md", here, monkeypatch)
    table = lib.main_table(names["run"])["multilingual"]
    trained = table[table.index.get_level_values("strategy") == "hybrid 0.5"].iloc[0]
    assert trained > table[table.index.get_level_values("strategy") == "none"].iloc[0] > 0
    seen = names["faq"].query("split == 'train'")
    found = [row.answer_zh in names["search"](row.question_zh, 5) for row in seen.itertuples()]
    assert sum(found) >= 0.7 * len(found)  # of what it was trained on, among the answers of all languages


def test_the_guide_of_centring_shows_what_it_promises(here, monkeypatch):
    names = follow(paths.ROOT / "docs" / "guides" / "centring.md", here, monkeypatch)
    assert 1 / 3 <= names["after"] < names["before"]


def test_the_sampler_guide_trains_on_batches_of_both_kinds(here, monkeypatch):
    names = follow(paths.ROOT / "docs" / "guides" / "sampler.md", here, monkeypatch)
    assert names["trainer"].state.global_step == 20
    used = names["trainer"].get_train_dataloader()
    while hasattr(used, "batch_sampler"):
        used = used.batch_sampler
    assert type(used).__module__ == "hybrid_batches.training.trainer_sampler"  # `lib`, as it is called when installed
    assert type(used).__name__ == "LanguageBatchSampler"
    kinds = set()
    for batch in used:
        chosen = [names["rows"][number] for number in batch]
        same = {asked == answered for _, asked, _, answered, _ in chosen}
        assert len(same) == 1 and len({row[0] for row in chosen}) == len(chosen)
        if same == {True}:
            assert len({row[1] for row in chosen}) == 1  # one language a monolingual batch
        kinds |= same
    assert kinds == {True, False}


def test_the_guide_of_training_data_says_how_many_rows_were_enough():
    rows = json.loads((paths.ROOT / "benchmarks" / "results" / "rows_static.json").read_text(encoding="utf-8"))["rows"]
    text = " ".join((paths.ROOT / "docs" / "guides" / "training_data.md").read_text(encoding="utf-8").split())
    sides = {"multilingual": "from {} untrained to {}, {} and {}", "monolingual": "from {} to {}, {} and {}"}
    for setting, said in sides.items():
        assert said.format(*(f"{row[setting]:.3f}"[1:] for row in rows)) in text
    most = max(value for row in rows for name, value in row.items() if name.endswith("range"))
    assert f"differ by {most:.3f}".replace("0.", ".") + " at most" in text


# --- README ---


PAGES = (paths.ROOT / "README.md", paths.ROOT / "docs" / "running.md")
README = list(dict.fromkeys(line for page in PAGES for _, content, _ in blocks(page) for line in commands(content)))
READ_ONLY = [line for line in README if set(NOT_RUN) & set(shlex.split(line, comments=True))]


def light(words: list[str]) -> list[str]:
    """A command of README as it is run here: what would be heavy is asked for dry, or of the profile smoke."""
    if words[0] == "./run_all.sh":
        return [*("smoke" if word in ("full", "paper") else word for word in words), "--dry-run"]
    lighter = {"--encoder": "static", "--eval": "facts", "--profile": "smoke"}
    return [lighter.get(before, word) for before, word in zip(["", *words], words, strict=False)]


@pytest.mark.parametrize("line", [line for line in README if line not in READ_ONLY])
def test_a_command_of_readme_runs(line, here, monkeypatch):
    if "--table" in line:  # of what is published
        monkeypatch.delenv("HYBRID_RESULTS")
        return run(line, here, monkeypatch)
    words = light(shlex.split(line, comments=True))
    (here / "my.jsonl").write_text("".join(json.dumps(row) + "\n" for row in synthetic.rows(120)), encoding="utf-8")
    if "--finished" in words:  # something must be
        assert command.main(["--profile", "smoke", "--cells", "static_none"]) == 0
    run(shlex.join(words), here, monkeypatch)


@pytest.mark.parametrize("line", READ_ONLY)
def test_a_command_of_readme_that_is_only_read_names_what_there_is(line):
    words = shlex.split(line, comments=True)
    if suite := arguments(words):
        asked = command.parser().parse_args(suite[1])
        plan = grid.plan(config.load(command.profile_of(asked), asked.overrides).config)
        assert not asked.cells or any(fnmatchcase(cell.id, asked.cells) for cell in plan)
    for name in re.findall(r"\./\S+|\S+\.lock", line):
        assert (paths.ROOT / name).is_file()


def test_every_exception_is_needed():
    words = {word for line in README for word in shlex.split(line, comments=True)}
    assert set(NOT_RUN) - words == set()


# --- links and papers ---


def pages() -> list[Path]:
    """All pages of the repository that people read, without those that runs and tools leave behind."""
    found = [path.relative_to(paths.ROOT) for path in paths.ROOT.rglob("*.md")]
    left = ("results", "node_modules", "build")
    return [path for path in found if path.parts[0] not in left and not any(part[0] == "." for part in path.parts)]


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_relative_link_leads_somewhere(page):
    text = BLOCK.sub("", (paths.ROOT / page).read_text(encoding="utf-8"))
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    lost = [t for t in targets if not (paths.ROOT / page.parent / t.split("#")[0]).exists()]
    assert lost == []


def test_the_guides_are_all_in_their_index():
    index = (paths.ROOT / "docs" / "guides" / "README.md").read_text(encoding="utf-8")
    assert set(LINK.findall(index)) == {guide.name for guide in GUIDES} - {"README.md"}


def test_the_citation_is_of_this_version_and_names_the_paper():
    version = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "date-released"} <= cited.keys()
    assert cited["version"] == version
    assert "2408.10536" in str(cited["references"])
    changes = (paths.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", changes, re.MULTILINE)[0]
    assert latest == (version, str(cited["date-released"]))
