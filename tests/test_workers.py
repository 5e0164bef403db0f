"""Work shared by several processes: the same results, in order, whatever becomes of one of them."""

import errno
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from lib.base import paths, workers

SLOW = """
import os, time
from lib.base import workers
def slowly(name):
    print(os.getpid(), flush=True)
    time.sleep(600)
if __name__ == "__main__":
    workers.COUNT = 2
    workers.each(slowly, ["a", "b"])
"""


@pytest.fixture(autouse=True)
def two(monkeypatch):
    monkeypatch.setattr(workers, "COUNT", 2)


def where(thing: int, plus: int = 0) -> tuple[int, int]:
    return thing + plus, os.getpid()


def test_other_processes_do_the_work_and_it_comes_in_order():
    found = workers.each(partial(where, plus=1), range(20))
    assert [value for value, _ in found] == list(range(1, 21))
    assert os.getpid() not in {process for _, process in found}


def test_a_few_things_are_done_here():
    assert workers.each(where, [1, 2, 3], worth=4) == [(n, os.getpid()) for n in (1, 2, 3)]


def test_work_is_done_here_when_a_process_is_killed(monkeypatch):
    monkeypatch.setattr(workers, "_ready", killed)
    assert workers.each(where, [1, 2]) == [(1, os.getpid()), (2, os.getpid())]


def test_work_is_done_here_when_no_process_can_be_started(monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(workers, "ProcessPoolExecutor", refused)
    assert workers.each(where, [1, 2]) == [(1, os.getpid()), (2, os.getpid())]


def within(things: list[int]) -> tuple[int, list[tuple[int, int]]]:
    return os.getpid(), workers.each(where, things)


def test_a_process_that_shares_work_starts_no_others():
    for process, found in workers.each(within, [[1, 2], [3, 4]]):
        assert {by for _, by in found} == {process} != {os.getpid()}


def killed() -> None:
    """What a process does that the system ends for its memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_in_the_work_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        workers.each(partial(divmod, 1), [1, 0])


def test_processes_end_with_the_one_that_started_them(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    started = subprocess.Popen(
        [sys.executable, tmp_path / "slow.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(paths.ROOT)},
    )
    assert len({started.stdout.readline() for _ in range(2)}) == 2
    started.kill()
    assert started.communicate(timeout=60)[0] == b""  # the output ends when no process holds it any more


def remark(thing: int) -> None:
    print("a remark on rows that were read before", file=sys.stderr, flush=True)


def test_remarks_are_not_made_again_by_each_process(capfd):
    workers.each(remark, range(4))
    assert "remark" not in capfd.readouterr().err
