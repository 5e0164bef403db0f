"""What people read in the terminal: the plan of a run, its tables, and a help that fits a screen."""

import io

import numpy as np
import pandas as pd
import pytest

import lib
from lib import __main__ as command
from lib.base import config
from lib.base import store as artifacts
from lib.evidence import tables
from lib.runs.plan import Cell
from lib.show import printed

METRICS = pd.DataFrame(
    [
        ["static", train, strategy, alpha, np.nan, "facts", "facts", setting, metric, value, 9]
        for train, strategy, alpha in (("none", "none", np.nan), ("facts", "hybrid", 0.5))
        for setting, metric, value in (("multilingual", "map", 0.51239), ("multilingual", "rank_distance", 1234.6))
    ],
    columns=[*tables.KEYS, *tables.VALUES],
)


def write(folder):
    """The table as a run leaves it, with its seal."""
    METRICS.to_csv(folder / "metrics.csv", index=False)
    artifacts.write_seal(folder / tables.PROVENANCE, {"digest": "of other cells"}, [folder / "metrics.csv"])


def test_the_main_table_is_tab_separated_with_three_decimals():
    assert printed.main(METRICS) == (
        "dataset\ttrain\tstrategy\tmultilingual\trank distance\n"
        "facts\tnone\tnone\t0.512\t1235\n"
        "facts\tfacts\thybrid 0.5\t0.512\t1235\n"
    )


def test_what_a_set_does_not_have_is_empty():
    alone = METRICS[METRICS["metric"] == "map"].assign(dataset="miracl-mini", setting="monolingual")
    said = printed.main(pd.concat([METRICS, alone], ignore_index=True))
    assert "miracl-mini\tnone\tnone\t0.512\t\t\n" in said and "nan" not in said


def test_a_table_is_printed_by_name_and_can_be_pasted(own_folders, capsys):
    folder = own_folders / "results" / "smoke"
    folder.mkdir(parents=True)
    write(folder)
    assert command.main(["--profile", "smoke", "--table", "metrics"]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(capsys.readouterr().out), sep="\t"), METRICS)
    assert command.main(["--profile", "smoke", "--table"]) == 0
    assert capsys.readouterr().out == printed.main(METRICS)


def test_a_published_table_is_printed_where_the_run_was_not_made_here(own_folders, capsys):
    folder = own_folders / "results" / "smoke" / "published"
    folder.mkdir(parents=True)
    write(folder)
    assert command.main(["--profile", "smoke", "--table"]) == 0
    assert capsys.readouterr().out == printed.main(METRICS)


def test_a_table_of_other_cells_than_those_of_now_says_so_and_a_damaged_one_is_not_printed(own_folders, capsys):
    folder = own_folders / "results" / "smoke"
    folder.mkdir(parents=True)
    write(folder)
    assert command.main(["--profile", "smoke", "--table"]) == 0
    printed_, said = capsys.readouterr()
    assert printed_ and "these numbers are not those of what is here now" in said and said.count("\n") == 1
    run = config.load("smoke")
    for name in ("main_table", "table"):  # so too in a notebook
        getattr(lib, name)(run, *(["metrics.csv"] if name == "table" else []))
        said = capsys.readouterr().err
        assert "not those of what is here now (rows, encoder or code); make them again: lib.judge(run)" in said
    content = (folder / "metrics.csv").read_text()
    (folder / "metrics.csv").write_text(content.replace("0.51239", "0.91239"))
    assert command.main(["--profile", "smoke", "--table"]) == 2
    printed_, said = capsys.readouterr()
    assert not printed_ and "metrics.csv is damaged, or was changed by hand" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "clams"], "--table clams: there is no such table; choose one of main, metrics, "),
        (["--table"], "has no tables yet; make them: ./run_all.sh --profile smoke"),
    ],
)
def test_a_table_that_is_not_there_is_one_line(own_folders, capsys, arguments, words):
    assert command.main(["--profile", "smoke", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and words in said.err


def test_the_plan_has_one_line_a_strategy_with_its_seeds():
    states = [printed.DONE, printed.DONE, printed.TO_DO, printed.TO_DO]
    hybrids = {Cell("static", "facts", "hybrid", 0.5, seed): state for seed, state in enumerate(states)}
    single = {Cell("static", "facts", "x-y", None, 0): printed.PUBLISHED}
    assert printed.by_strategy(hybrids | single) == [
        "    hybrid-0.5   done: seeds 0, 1; to do: seeds 2, 3",
        "    x-y          comes with the repository: seed 0",
    ]
    assert printed.by_strategy({Cell("static"): printed.DONE}) == ["    none         done"]
    assert printed.count((hybrids | single).values()) == "2 done, 1 comes with the repository, 2 to do"


def test_the_help_fits_a_screen(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        command.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
