"""The command line and the execution of notebooks: what is told, what is skipped, and what counts as done."""

import json
import os
import re
import sys

import nbformat
import psutil
import pytest

from lib import __main__ as command
from lib.base import config, paths
from lib.show import notebooks as suite
from lib.show import publish

GOOD = "print(profile)"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of `smoke` in folders of its own; its notebooks are what `notebook` writes, its kernels import little."""
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(suite, "TO_SHOW", "import wave")
    monkeypatch.setattr(suite, "TO_TRAIN", "import wave, this_trains")
    (tmp_path / "this_trains.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return config.load("smoke")


def notebook(name: str, *cells: str, parameters: str = 'profile = "smoke"\noverrides = []'):
    """Write a notebook whose first cell takes the parameters."""
    code = [nbformat.v4.new_code_cell(source) for source in (parameters, *cells)]
    code[0].metadata["tags"] = ["parameters"]
    path = paths.NOTEBOOKS / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    kernel = {"kernelspec": {"name": "hybrid-batches", "display_name": "Hybrid batches", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), path)
    return path


def execute(run, *notebooks) -> None:
    with suite.kernels(run, notebooks) as ready:
        for path in notebooks:
            suite.execute(run, path, next(ready))


def test_a_finished_notebook_is_done_and_leaves_a_page(run):
    path = notebook("01_good", GOOD)
    assert suite.not_done(run, [path])
    execute(run, path)
    assert not suite.not_done(run, [path])
    executed, page = suite.outputs(run, path)
    assert "smoke" in json.loads(executed.read_text())["cells"][2]["outputs"][0]["text"][0]
    assert "<html" in page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?:http|//)""", page.read_text())  # read without a network


@pytest.mark.parametrize("damage", ["notebook changed", "page cut", "executed gone", "marker edited"])
def test_done_ends_when_source_or_output_changes(run, damage):
    path = notebook("01_good", GOOD)
    execute(run, path)
    executed, page = suite.outputs(run, path)
    if damage == "notebook changed":
        notebook("01_good", GOOD, "1 + 1")
    elif damage == "page cut":
        page.write_text(page.read_text()[:-10])
    elif damage == "executed gone":
        executed.unlink()
    else:
        marker = executed.with_name(".01_good.done.json")
        marker.write_text(marker.read_text().replace("ipynb", "ipynd", 1))
    assert suite.not_done(run, [path])


def test_a_failing_cell_is_named_with_its_last_error_line(run):
    path = notebook("02_bad", GOOD, 'raise ValueError("no such thing")')
    with pytest.raises(suite.NotebookFailed, match=r"02_bad\.ipynb, cell \d+: ValueError: no such thing"):
        execute(run, path)
    assert suite.not_done(run, [path])


def test_a_killed_kernel_is_a_failure(run):
    path = notebook("02_killed", GOOD, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", GOOD)
    with pytest.raises(suite.NotebookFailed, match=r"02_killed\.ipynb.*(?i:kernel)"):
        execute(run, path)
    assert suite.not_done(run, [path])


def test_each_notebook_has_a_kernel_of_its_own_and_none_outlives_the_run(run):
    tell = "import os\nprint(os.getpid())\nprint('SECRET' in globals())\nSECRET = 1"
    paths_ = [notebook("01_first", tell), notebook("02_second", tell)]
    execute(run, *paths_)
    told = ["".join(json.loads(suite.outputs(run, p)[0].read_text())["cells"][2]["outputs"][0]["text"]) for p in paths_]
    kernels = [int(text.split()[0]) for text in told]
    assert len(set(kernels)) == 2
    assert [text.split()[1] for text in told] == ["False", "False"]
    assert not [pid for pid in kernels if os.path.exists(f"/proc/{pid}")]


@pytest.mark.parametrize("is_made", [False, True])
def test_what_trains_is_imported_ahead_only_for_notebooks_that_train(run, is_made, monkeypatch):
    monkeypatch.setattr(suite.cells, "missing", lambda run: [] if is_made else ["a cell"])
    tell = "import sys\nprint(*[name in sys.modules for name in ('this_trains', 'wave')])"
    trains = f"{tell}\n'lib.replicate(run)'"
    found = [notebook(name, code) for name, code in (("01_first", tell), ("02_trains", trains), ("03_shows", tell))]
    execute(run, *found)
    told = ["".join(json.loads(suite.outputs(run, p)[0].read_text())["cells"][2]["outputs"][0]["text"]) for p in found]
    assert told[1] == "True True\n" and told[2] == ("False True\n" if is_made else "True True\n")


@pytest.mark.parametrize("code", [suite.TO_SHOW, suite.TO_TRAIN])
def test_what_is_imported_ahead_leaves_no_name(code):
    names: dict = {}
    exec(code, names)
    assert names.keys() == {"__builtins__"}


def test_kernels_of_other_pythons_and_start_up_files_have_no_part_in_a_run(run, tmp_path, monkeypatch):
    """Both stand where Jupyter and IPython look first; the kernels called like ours would end at once."""
    for name in ("python3", "hybrid-batches"):
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
    started = tmp_path / "ipython" / "profile_default" / "startup"
    started.mkdir(parents=True)
    (started / "00-mine.py").write_text("MINE = 1\n")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    path = notebook("01_mine", "import sys\nprint(sys.executable, 'MINE' in globals())")
    execute(run, path)
    told = "".join(json.loads(suite.outputs(run, path)[0].read_text())["cells"][2]["outputs"][0]["text"])
    assert told.split() == [sys.executable, "False"]


def test_a_kernel_that_waits_is_stopped_when_a_notebook_fails(run):
    with pytest.raises(suite.NotebookFailed):
        execute(run, notebook("01_bad", "1 / 0"), notebook("02_waits", GOOD))
    assert not [
        child for child in psutil.Process().children(recursive=True) if "ipykernel" in " ".join(child.cmdline())
    ]


def test_a_parameter_that_the_notebook_ignores_is_refused(run):
    path = notebook("01_deaf", "print(1)", parameters='profile = "smoke"')
    with pytest.raises(suite.NotebookFailed, match="does not know overrides"):
        execute(run, path)


def test_every_notebook_takes_the_parameters_that_are_passed():
    import papermill

    found = suite.notebooks()
    assert [path.name[:2] for path in found][:4] == ["01", "02", "03", "04"]
    for path in found:
        assert set(papermill.inspect_notebook(str(path))) == {"profile", "overrides", "finished", "facts"}


def test_notebooks_are_chosen_by_number_or_name(run):
    for name in ("01_a", "02_b", "03_c"):
        notebook(name, GOOD)
    assert [path.stem for path in suite.notebooks()] == ["01_a", "02_b", "03_c"]
    assert [path.stem for path in suite.notebooks(only="02")] == ["02_b"]
    assert [path.stem for path in suite.notebooks(start="02_b.ipynb")] == ["02_b", "03_c"]


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    assert command.main(["--profile", "smoke", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "hybrid-0.5   to do: seed 0" in plan and "embedded" in plan and "Estimate" in plan
    assert "4 to do" in plan and "static_facts_x-x-mono_seed0" in plan
    assert os.listdir(tmp_path) == []


def test_quick_without_its_data_says_so_and_takes_the_facts_corpus(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("HYBRID_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(tmp_path))
    assert command.main(["--profile", "quick", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert plan.startswith(config.FACTS_ONLY)
    assert "run quick-facts:" in plan


def test_publishing_is_refused_for_the_facts_corpus(run):
    with pytest.raises(suite.UserError, match="only runs on real data are published"):
        publish.publish(run)


def test_what_is_stored_of_an_executed_notebook_is_its_outputs_without_what_varies(tmp_path):
    def write(name, source, outputs, number, tags=()):
        code = nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=number)
        given = nbformat.v4.new_code_cell("profile = 'full'", id="given", metadata={"tags": ["injected-parameters"]})
        cells_ = [nbformat.v4.new_markdown_cell("# Title"), *([given] if tags else []), code]
        code["id"] = "code"
        nbformat.write(nbformat.v4.new_notebook(cells=cells_), tmp_path / name)
        return tmp_path / name

    shown = nbformat.v4.new_output("execute_result", {"text/plain": "7"}, execution_count=9)
    warned = nbformat.v4.new_output("stream", name="stderr", text="100%")
    stored = write("stored.ipynb", "3 + 4", [], None)
    publish.store(write("executed.ipynb", "3 + 4", [warned, shown], 9, tags=("injected",)), stored)
    [cell] = [cell for cell in json.loads(stored.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cell["execution_count"] == 1
    assert ["".join(output["data"]["text/plain"]) for output in cell["outputs"]] == ["7"]
    before = stored.read_bytes()
    with pytest.raises(suite.UserError, match="was executed from other cells"):
        publish.store(write("other.ipynb", "3 + 5", [shown], 1), stored)
    told = nbformat.v4.new_output("stream", name="stdout", text=f"see {paths.ROOT}/lib")
    with pytest.raises(suite.UserError, match="an output names"):
        publish.store(write("told.ipynb", "3 + 4", [told], 1), stored)
    assert stored.read_bytes() == before


def test_publishing_is_refused_for_an_unfinished_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    own = tmp_path / "mine.jsonl"
    rows = [{"id": f"{i}#0", "q": {"en": f"question {i}"}, "p": {"en": f"answer {i}"}} for i in range(40)]
    own.write_text("\n".join(map(json.dumps, rows)))
    unfinished = config.load("smoke", [f"eval={own}", "strategies=[none]"])
    with pytest.raises(suite.UserError, match="not finished"):
        publish.publish(unfinished)


def test_jupyterlab_listens_on_loopback_with_its_token(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda file, arguments: started.append((file, arguments)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command.main(["--lab"])
    file, arguments = started[0]
    assert [file, *arguments[1:3]] == [sys.executable, "-m", "jupyterlab"] and "--ServerApp.ip=127.0.0.1" in arguments
    assert not any("token" in part or "password" in part for part in arguments)  # Jupyter makes one by itself


def test_jupyterlab_runs_as_root_only_if_it_is_told_so(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(os, "execv", lambda file, arguments: started.append(arguments))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert command.main(["--lab"]) == 2 and started == []
    assert "add --allow-root" in capsys.readouterr().err
    command.main(["--lab", "--allow-root"])
    assert started[0][-1] == "--allow-root"
