"""Names are just names, and environments are as they are: files, folders and runs of any name, from anywhere."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
import synthetic
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lib import __main__ as command
from lib.base import config, environment, paths, processes
from lib.base.errors import UserError, told
from lib.data import catalog as data
from lib.encoders import load as encoders
from lib.figures import style
from lib.runs import plan as grid
from lib.runs import preflight as checks
from lib.show import notebooks as kernels
from lib.show import notebooks as suite

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=70)


def rows(split):
    return [row | {"id": f"{split}{row['id']}", "split": split} for row in synthetic.rows(12)]


def write(path: Path, content: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


@given(NAMES)
@example("data[1]")
@example("a b#c{d}*?'\"$x")
@example("训练")
@example("squad-heldout")
@example("miracl-mine")
@example("\n")
@example("ü" * 120)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_file_of_any_name_is_one_cell_that_can_be_named_and_stored(name):
    cell = grid.Cell("e5-small-q4", f"/somewhere/{name}.jsonl", "x-x-mono", None, 0)
    run = config.load("smoke", ["strategies=[x-x-mono]"])
    changed = config.replace(run.config, encoder=(cell.encoder,), train=(cell.train,))
    run = config.Run(run.profile, run.overrides, changed)
    assert [found.id for found in grid.named(run, cell.id)] == [cell.id]
    assert len(os.fsencode(f".{cell.id}.parquet.12345678")) < 200 and "/" not in cell.id and cell.id.isprintable()


def test_long_names_that_differ_at_their_ends_stay_apart():
    one, two = (paths.called(f"/x/{'a' * 200}{end}.jsonl") for end in "bc")
    assert one != two and len(one) < 40 and paths.called("/x/short.jsonl.gz") == "short"


@pytest.mark.parametrize("name", [".jsonl", "..jsonl", "...jsonl", "...csv.gz", "..", "a/../..", "."])
def test_nothing_is_called_as_the_folder_it_is_in_or_the_one_above(name):
    assert paths.called(name) not in ("", ".", "..")


def test_sets_that_would_be_called_alike_are_refused(tmp_path):
    one, two = write(tmp_path / "my.jsonl", rows("test")), write(tmp_path / "my-heldout.jsonl", rows("test"))
    ours = write(tmp_path / "parallel-docs.jsonl", rows("test"))
    train = write(tmp_path / "train.jsonl", rows("train"))
    for names, called in ((f"{one}-heldout, {two}", "my-heldout"), (f"{ours}-heldout, facts", "parallel-docs-heldout")):
        with pytest.raises(UserError, match=f"would both be called {called}; give the file another name") as told:
            checks.plan(config.load("smoke", [f"train={train}", f"eval=[{names}]"]))
        assert "\n" not in str(told.value)
    checks.plan(config.load("smoke", [f"train={train}", f"eval=[{one}, {one}-heldout]"]))


def test_the_folder_where_a_person_stands_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "my-encoder").mkdir()
    monkeypatch.chdir(tmp_path / "my-encoder")
    assert grid.Cell(".").id == "my-encoder_none" == grid.Cell("../my-encoder/").id


@pytest.mark.parametrize("name", ["squad-heldout.jsonl", "miracl-mine.jsonl", "facts-heldout/set.jsonl"])
def test_a_file_is_scored_whatever_words_of_ours_its_name_holds(name, tmp_path):
    train, test = write(tmp_path / "train.jsonl", rows("train")), write(tmp_path / name, rows("test"))
    run = config.load("smoke", [f"train={train}", f"eval={test}"])
    assert {tuple(grid.evaluated(cell, run.config)) for cell in grid.plan(run.config)} == {(str(test),)}
    checks.plan(run)


def test_a_file_is_never_shown_by_the_name_of_a_set_of_ours():
    assert style.name("facts") == "the facts corpus" and style.name("xquad-r-heldout") == "XQuAD-R (held-out)"
    assert style.name("/x/facts.jsonl") == "facts (own)" and style.name("/x/xlm-r") == "xlm-r (own)"
    assert style.name("/x/mine.jsonl-heldout") == "mine (held-out)"


def test_results_of_a_folder_called_like_an_encoder_of_ours_have_another_name():
    assert grid.Cell("static").id == "static_none" and style.name("static") == "static"
    assert grid.Cell("./static").id == grid.Cell("/x/static").id == "static-own_none"
    assert style.name("/x/static") == "static (own)"


def test_what_is_relative_begins_where_the_person_stands(tmp_path, monkeypatch):
    write(tmp_path / "here" / "mine.jsonl", rows("test"))
    synthetic.encoder(["a"]).save(str(tmp_path / "here" / "enc"), create_model_card=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        data.evaluation_set("mine.jsonl")
    monkeypatch.setenv(paths.FROM, str(tmp_path / "here"))
    assert len(data.evaluation_set("mine.jsonl").questions) == 12
    assert encoders.folder_of("enc") == tmp_path / "here" / "enc"
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    assert paths.brought("~/mine.jsonl") == tmp_path / "here" / "mine.jsonl"


@pytest.mark.parametrize("name", environment.FOLDERS)
def test_a_folder_that_a_variable_names_is_the_same_for_kernels_which_stand_elsewhere(name, tmp_path, monkeypatch):
    ours = {"HYBRID_RESULTS": paths.results, "HYBRID_STORE": paths.store, "HYBRID_DATA_MIRROR": paths.mirror}
    of = ours.get(name, lambda: Path(os.environ[name]))  # the others are read by libraries, as they stand
    (tmp_path / "notebooks").mkdir()
    for stands in ("", str(tmp_path / "here")):
        monkeypatch.setenv(paths.FROM, stands)
        for named, right in (("out", Path(stands or tmp_path) / "out"), ("/x/out", Path("/x/out"))):
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv(name, named)
            assert told(lambda: monkeypatch.chdir(tmp_path / "notebooks")) == 0
            assert of() == right
    monkeypatch.delenv(name)
    environment.prepare()
    assert name not in os.environ


def test_what_is_written_elsewhere_is_named_so_that_it_is_found(tmp_path):
    assert paths.shown(paths.ROOT / "results" / "x.csv") == str(Path("results", "x.csv"))
    assert paths.shown(tmp_path / "audit.csv") == str(tmp_path / "audit.csv")
    assert paths.shown(Path("../audit.csv")) == "../audit.csv"


def test_kernels_are_told_where_the_person_stands(tmp_path, monkeypatch, own_folders):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(paths.FROM, raising=False)
    with suite._environment(config.load("smoke")):
        assert os.environ[paths.FROM] == str(tmp_path)
    assert paths.FROM not in os.environ


def test_a_terminal_of_jupyterlab_does_not_look_where_it_was_started(monkeypatch):
    seen = {}
    monkeypatch.setenv(paths.FROM, "/elsewhere")
    monkeypatch.setattr(os, "execv", lambda *command: seen.update(os.environ))
    command.lab(allow_root=True)
    assert seen and paths.FROM not in seen


def test_braces_in_a_path_are_braces_for_papermill(tmp_path):
    from papermill.iorw import papermill_io  # noqa: F401 - papermill has to be there
    from papermill.parameterize import parameterize_path

    path = tmp_path / "res{2026}{}" / "x.ipynb"
    assert parameterize_path(suite._literal(path), {}) == str(path)


# --- letters ---


def test_letters_that_no_font_has_are_given_by_their_code_points(monkeypatch):
    monkeypatch.setattr(style, "_letters", lambda: frozenset(map(ord, "aé ")))
    assert style.drawable("a é") == "a é" and style.drawable("a训") == "a\\u8bad"
    assert style.drawable("plain") == "plain"


def test_a_font_of_the_machine_is_used_where_there_is_one(monkeypatch):
    from matplotlib.font_manager import fontManager

    monkeypatch.setattr(type(fontManager), "get_font_names", lambda self: ["DejaVu Sans", "Loma", "PingFang SC"])
    style.families.cache_clear()
    try:
        assert style.families() == ["DejaVu Sans", "PingFang SC", "Loma"]
    finally:
        style.families.cache_clear()


def test_output_that_is_not_utf_8_takes_any_name(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert told(lambda: print("训练")) == 0
    assert stream.buffer.getvalue() == b"\\u8bad\\u7ec3\n"


# --- what others leave behind ---


@pytest.mark.parametrize("left", [{"WORLD_SIZE": ""}, {"WORLD_SIZE": "abc"}, {"WORLD_SIZE": "2"},
                                  {"WORLD_SIZE": "2", "RANK": "1"}, {"WORLD_SIZE": "x", "RANK": "0"},
                                  {"OMPI_COMM_WORLD_SIZE": "4", "ACCELERATE_MIXED_PRECISION": "bf16"}])  # fmt: skip
def test_variables_of_another_job_are_forgotten(left, monkeypatch):
    for name in environment.LEFT_BEHIND:
        monkeypatch.delenv(name, raising=False)
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert (processes.count(), processes.rank()) == (1, 0)  # in somebody's own script, where nothing is forgotten
    seen = []
    assert told(lambda: seen.extend(os.environ)) == 0
    assert not [name for name in seen if name in environment.LEFT_BEHIND or name.startswith("ACCELERATE_")]
    assert (processes.count(), processes.rank()) == (1, 0)


def test_what_torchrun_sets_is_kept(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    environment.prepare()
    assert (processes.count(), processes.rank()) == (2, 1)


def test_sockets_are_put_where_their_path_is_short_enough(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/scratch")
    monkeypatch.setattr(os, "access", lambda *ignored: True)
    assert kernels._short_folder() == "/scratch"
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + "long" * 14)
    assert kernels._short_folder() == "/tmp"
    monkeypatch.setattr(os, "access", lambda *ignored: False)
    with pytest.raises(UserError, match="TMPDIR=/long.*: longer than 50 bytes, and /tmp cannot be written to"):
        kernels._short_folder()


@pytest.mark.parametrize("script", ["run_all.sh", "run_tests.sh"])
def test_scripts_that_sh_starts_go_on_in_bash(script):
    first = [line for line in (paths.ROOT / script).read_text().splitlines() if line and not line.startswith("#")][0]
    assert first.startswith('if [ -z "${BASH_VERSION:-}" ]; then exec bash "$0" "$@"; fi')


def test_a_checkout_has_the_same_bytes_on_every_system():
    assert "* text=auto eol=lf" in (paths.ROOT / ".gitattributes").read_text().splitlines()


def test_commands_of_the_pages_can_be_typed_in_any_shell():
    pages = [paths.ROOT / "README.md", *(paths.ROOT / "docs" / "guides").glob("*.md")]
    from test_guides import blocks, commands

    for page in pages:
        for language, block, line in blocks(page):
            for typed in commands(block) if language == "bash" else []:
                bare = "".join(part for number, part in enumerate(typed.split("'")) if number % 2 == 0).split("#")[0]
                assert not set(bare) & set("[]*?{}"), f"{page.name}, line {line}: {typed}"


def test_a_name_in_brackets_is_taken_back_as_it_is_printed(tmp_path, own_folders, monkeypatch, capsys):
    train, test = write(tmp_path / "data[1].jsonl", rows("train")), write(tmp_path / "test.jsonl", rows("test"))
    words = [text for row in [*rows("train"), *rows("test")] for side in "qp" for text in row[side].values()]
    synthetic.encoder(words).save(str(tmp_path / "tiny"), create_model_card=False)
    brought = [f"encoder={tmp_path / 'tiny'}", f"train={train}", f"eval={test}"]
    given = [*brought, "steps=2", "batch_size=4", "warmup_steps=1"]
    options = [word for text in given for word in ("--set", text)]
    assert command.main(["--profile", "smoke", *options, "--cells", "tiny_data[1]_x-y_seed0"]) == 0
    assert "tiny_data[1]_x-y_seed0: done" in capsys.readouterr().out
