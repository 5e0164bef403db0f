"""Progress says what, how far and how long still; to a file if one is named, and to nobody without a terminal."""

import pytest

from lib.base import progress


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (41.6, "42 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (3599.9, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)  # fmt: skip
def test_durations_are_written_for_people(seconds, words):
    assert progress.duration(seconds) == words


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_what_is_left_is_estimated_from_the_pace_so_far(clock):
    task = progress.Task("encoding, texts", 4000)
    task.done = 1000
    clock[0] += 20
    assert task.line() == "encoding, texts: 1,000 of 4,000, 1 min 00 s left"


def test_lines_go_to_the_named_file_at_most_once_a_second_and_at_the_end(clock, tmp_path, monkeypatch):
    path = tmp_path / "progress"
    monkeypatch.setenv("HYBRID_PROGRESS", str(path))
    with progress.task("steps", 30) as task:
        for _ in range(30):
            clock[0] += 0.25
            task.advance()
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"steps: {n} of 30" for n in (4, 8, 12, 16, 20, 24, 28, 30)]
    assert lines[-1].endswith("0 s left")


def test_nothing_is_said_where_nobody_looks(monkeypatch, capfd):
    monkeypatch.delenv("HYBRID_PROGRESS", raising=False)
    with progress.task("steps", 3) as task:
        task.advance(3)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_one_line_that_goes_away(monkeypatch, capsys):
    monkeypatch.delenv("HYBRID_PROGRESS", raising=False)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress.task("steps", 3) as task:
        task.advance(3)
    said = capsys.readouterr().err
    assert said.startswith("\r\x1b[Ksteps: 3 of 3") and said.endswith("\r\x1b[K") and "\n" not in said


def test_a_notebook_that_a_person_runs_shows_one_line_that_is_empty_at_the_end(tmp_path):
    """In a real kernel, as JupyterLab has it: the line changes in place, and nothing is left of it."""
    import nbformat
    from nbclient import NotebookClient

    work = "from lib.base import progress\nwith progress.task('steps', 3) as task:\n    task.advance(3)\n    1 / hurt"
    for hurt, fails in ((1, False), (0, True)):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"hurt = {hurt}\n{work}")])
        client, seen = NotebookClient(notebook, kernel_name="python3", allow_errors=True), []
        client.on_cell_executed = None
        original = client.process_message

        def listen(message, cell, index, original=original, seen=seen):
            if message["msg_type"] == "update_display_data":
                seen.append(message["content"]["data"]["text/plain"])
            return original(message, cell, index)

        client.process_message = listen
        client.execute(env=_without_progress())
        outputs = notebook.cells[0].outputs
        assert seen[0].startswith("steps: 3 of 3") and seen[-1] == ""
        assert outputs[0]["data"]["text/plain"] == ""
        assert (outputs[-1].output_type == "error") == fails


def _without_progress() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if name != "HYBRID_PROGRESS"}
