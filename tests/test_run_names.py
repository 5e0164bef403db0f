"""A run's printed name stands for its profile and overrides, wherever a profile is asked for."""

import json

import pytest
import synthetic

from lib import __main__ as command
from lib.base import config, paths
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.interop import audit, model_card, trec
from lib.runs import open as runs
from lib.runs import records


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("smoke-1a2b3c4d", True),
        ("default-facts", True),
        ("default-facts-00ff00ff", True),
        ("smoke", False),
        ("claims", False),
        ("smoke-1a2b3c4", False),
        ("smoke-1A2B3C4D", False),
        ("other-1a2b3c4d", False),
    ],
)
def test_what_a_run_could_be_called(text, is_one):
    assert records.is_name(text) is is_one


def test_a_name_gives_the_run_with_further_overrides_before_its_own(own_folders):
    run = config.load("smoke", ["steps=7", "seeds=[0,1]"])
    records.remember(run)
    again = records.load(run.name)
    assert (again.name, again.profile, again.config) == (run.name, "smoke", run.config)
    assert records.load(run.name, ["steps=9"]) == config.load("smoke", ["seeds=[0,1]", "steps=9"])
    assert runs.open_run(run.name).command == run.command


def test_a_run_of_before_is_known_by_its_provenance(own_folders):
    run = config.load("smoke", ["steps=7"])
    artifacts.write_sealed(run.folder / "provenance.json", {"profile": "smoke", "overrides": ["steps=7"], "files": {}})
    assert records.load(run.name).config.steps == 7


def test_a_run_on_the_facts_corpus_is_so_again(own_folders):
    run = runs.open_run("quick", ["steps=7"], facts=True)
    records.remember(run)
    assert runs.open_run(run.name) == run and run.fallback
    assert runs.open_run("quick-facts").name == "quick-facts"


def test_a_profile_without_overrides_leaves_nothing_behind(own_folders):
    records.remember(config.load("smoke"))
    assert not paths.results().exists()


@pytest.mark.parametrize("there", ["", "smoke-0000aaaa"])
@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (command.main, ["--profile"]),
        (command.main, ["--table"]),
        (trec.main, ["--profile"]),
        (model_card.main, ["--profile"]),
        (audit.main, ["--encoder", "static", "--eval", "facts", "--profile"]),
    ],
    ids=["run", "table", "trec", "model_card", "audit"],
)
def test_a_run_that_is_not_there_is_one_clear_line(main, arguments, there, own_folders, capsys):
    (own_folders / "results" / there).mkdir(parents=True)
    assert main([*arguments, "smoke-1a2b3c4d"]) == 2
    printed = capsys.readouterr()
    listed = f"has only {there}" if there else "has none yet"
    assert printed.err == (
        f"error: there is no run smoke-1a2b3c4d: {own_folders / 'results'} {listed}; or give --profile and --set\n"
    )


def test_a_damaged_note_is_as_good_as_none(own_folders):
    run = config.load("smoke", ["steps=7"])
    records.remember(run)
    file = run.folder / records.WRITTEN[0]
    file.write_text(file.read_text().replace("steps=7", "steps=8"))
    with pytest.raises(UserError, match="there is no run"):
        records.load(run.name)


def test_all_commands_take_the_name_of_a_run(own_folders, capsys):
    cell = "tiny_train_x-y_seed0"
    overrides = [*synthetic.own_files(own_folders), "strategies=[x-y]", "steps=2", "warmup_steps=0", "batch_size=4"]
    given = [word for text in overrides for word in ("--set", text)]
    assert command.main(["--profile", "smoke", *given, "--cells", cell]) == 0
    name = config.load("smoke", overrides).name
    assert json.loads((own_folders / "results" / name / "run.json").read_text())["overrides"] == overrides
    assert command.main(["--profile", name, "--cells", cell]) == 0
    assert f"{cell}: was done" in capsys.readouterr().out
    assert command.main(["--table", name]) == 2
    assert f"run {name} has no tables yet" in capsys.readouterr().err
    out = str(own_folders / "out")
    assert trec.main(["--profile", name, "--cells", cell, "--depth", "2", "--out", out]) == 0
    assert model_card.main(["--profile", name, "--cells", cell, "--out", out]) == 0
    test = str(own_folders / "test.jsonl")
    capsys.readouterr()
    assert audit.main(["--profile", name, "--encoder", cell, "--eval", test]) == 0
    assert capsys.readouterr().out.startswith(f"{cell} on test: 24 questions")
