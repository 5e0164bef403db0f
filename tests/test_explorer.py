"""The explorer: ranks that are the run's own, questions of one's own, texts that stay text, and what is missing."""

import json
import re

import browser
import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base import config, paths
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.runs import cells
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.runs.plan import Cell
from lib.show.explore import explorer
from lib.show.explore import widgets as explorer_view
from lib.show.explore.explorer import Answer

HOSTILE = '<script>alert("x")<b>&'


@pytest.fixture
def run(explored):
    return explored


def stored(run, cell, dataset):
    """The ranks of a cell's table, by question, query language and passage language."""
    table = cells.ranks(run, cell)
    table = table[table["dataset"] == dataset]
    return table.set_index(["question", "query_language", "passage_language"])["pool_rank"].to_dict()


# --- what is computed ---


def assert_ranks_are_the_cells(run, cell, dataset, every=1):
    expected, found = stored(run, cell, dataset), {}
    opened = explorer.retriever(run, cell, dataset)
    queries = opened.data.queries
    for row in range(0, len(queries), every):
        key = (queries["question"].iloc[row], queries["language"].iloc[row])
        answer = opened.answer(row, depth=15)
        found |= {(*key, language): rank for language, rank in answer.ranks.items()}
        right = answer.top[answer.top["right"]]
        assert dict(zip(right["language"], right["rank"], strict=True)) == {
            language: rank for language, rank in answer.ranks.items() if rank <= 15
        }
    assert found == {key: expected[key] for key in found}
    return found


def test_ranks_are_those_of_the_cells_for_every_question_and_language(run):
    for cell in grid.plan(run.config):
        found = assert_ranks_are_the_cells(run, cell, run.config.eval[0])
        assert len(found) == 24 * 3 * 3


@pytest.mark.slow
def test_ranks_on_smoke_are_those_of_its_cells_in_every_language(smoke_folders):
    smoke = config.load("smoke")
    none = grid.plan(smoke.config)[0]
    cells.finish(smoke, none)
    for dataset in ("facts", "facts-new"):
        found = assert_ranks_are_the_cells(smoke, none, dataset, every=13)
        assert {key[1] for key in found} == {key[2] for key in found} == set(data.evaluation_set(dataset).languages)


def test_the_list_is_in_the_total_order_and_equal_scores_go_by_docid_descending(own_folders):
    texts = ["same"] * 3 + ["other"]
    passages = pd.DataFrame({"docid": list("abcd"), "language": ["de", "en", "zh", "zh"], "text": texts})
    questions = pd.DataFrame({"id": ["1"], "group": ["1"], "split": ["test"]})
    queries = pd.DataFrame({"question": [0], "language": ["en"], "text": ["same"]})
    qrels = pd.DataFrame({"query": [0, 0], "passage": [0, 2]})
    chosen = explorer.ParallelSet("tiny", "tiny", questions, queries, passages, qrels)
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    answer = explorer.Retriever(paths.ROOT, 8, chosen, vectors[:1], vectors).answer(0)
    assert answer.top["language"].tolist() == ["zh", "en", "de", "zh"]
    assert answer.top["rank"].tolist() == [1, 2, 3, 4]
    assert answer.top["score"].tolist() == [1, 1, 1, 0]
    assert answer.top["right"].tolist() == [True, False, True, False]
    assert answer.ranks == {"de": 3, "zh": 1}


def test_a_question_of_ones_own_finds_what_the_same_question_of_the_set_finds(run):
    opened = explorer.retriever(run, grid.plan(run.config)[-1], run.config.eval[0])
    asked, known = opened.ask(opened.data.queries["text"].iloc[5]), opened.answer(5)
    assert asked.top["text"].tolist() == known.top["text"].tolist()
    assert asked.ranks == {} and not asked.top["right"].any()


def test_vectors_are_made_once_for_a_model_and_again_when_damaged(run, capsys):
    cell, dataset = grid.plan(run.config)[0], run.config.eval[0]
    before = explorer.retriever(run, cell, dataset).passages
    [kept] = (paths.store() / "vectors").glob("*/passages.npy")
    made = kept.stat().st_mtime_ns
    explorer.retriever.cache_clear()
    explorer.retriever(run, cell, dataset)
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(kept.read_bytes()[:-4])
    explorer.retriever.cache_clear()
    assert (explorer.retriever(run, cell, dataset).passages == before).all()
    assert "is damaged: making it again" in capsys.readouterr().err


def test_a_model_that_is_gone_and_slow_to_train_is_asked_for_in_one_line(run, monkeypatch):
    monkeypatch.setattr(explorer, "QUICK", 0)
    cell = grid.plan(run.config)[-1]
    artifacts.shutil.rmtree(paths.store() / "models")
    assert cell in explorer.explorable(run, run.config.eval[0])  # it is finished: its ranks are known
    with pytest.raises(UserError, match=rf"not in the store.*--profile smoke .*--cells {re.escape(cell.id)}$"):
        explorer.retriever(run, cell, run.config.eval[0])


def test_a_run_of_which_nothing_is_finished_offers_only_what_is_quick_to_make(own_folders, monkeypatch):
    quick = config.load("smoke", [*synthetic.own_files(own_folders), *synthetic.SHORT])
    monkeypatch.setattr("lib.base.device.operations_per_second", lambda *_: 1.0)  # busy: what is quick stays quick
    assert explorer.explorable(quick, quick.config.eval[0]) == grid.plan(quick.config)
    monkeypatch.setattr(explorer, "QUICK", 0)
    assert explorer.explorable(quick, quick.config.eval[0]) == []
    with pytest.raises(UserError, match=r"no cell is finished yet; make them: \./run_all\.sh --profile smoke --set "):
        explorer_view.Explorer(quick)


# --- what is shown ---

HYBRID = Cell("static", "facts", "hybrid", 0.5, 0)


def answer(text="text", language="en", ranks=None):
    top = pd.DataFrame({"language": [language, "de"], "text": [text, "andere"]})
    return Answer(
        top.assign(rank=[1, 2], score=[0.5, 0.25], right=[True, False]), {"en": 1} if ranks is None else ranks
    )


def parsed(html):
    return browser.tree(html, part=True)


def test_every_text_is_escaped():
    side = (Cell("static", f"{HOSTILE}.jsonl", "x-y", None, 0), answer(HOSTILE))
    broken = (HYBRID, UserError(HOSTILE))
    html = explorer_view.page(HOSTILE, "en", HOSTILE, [side, broken], ["en", "de"], 2)
    assert not parsed(html).findall(".//script") and not parsed(html).findall(".//b")
    assert (
        html.count("&lt;script&gt;alert(&#34;x&#34;)") == 6
    )  # the question, its note, a passage, a name twice, an error


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("he", "rtl"), ("ar-EG", "rtl"), ("de", "ltr")])
def test_each_text_has_its_language_and_runs_its_way(language, direction):
    tree = parsed(explorer_view.page("frage", language, "", [(HYBRID, answer("text", language))], [language, "en"], 2))
    texts = [tree.find(".//p[@class='question']"), tree.find(".//td[@class='text']")]
    assert [(x.get("lang"), x.get("dir")) for x in texts] == [(language, direction)] * 2


def test_right_passages_are_marked_by_a_sign_with_a_name_and_own_questions_mark_none():
    tree = parsed(explorer_view.page("q", "en", "", [(HYBRID, answer())], ["en"], 2))
    rows = tree.findall(".//section//tbody/tr")
    assert [row.find(".//span[@aria-label='right answer']") is not None for row in rows] == [True, False]
    own = explorer_view.page("q", None, "", [(HYBRID, answer(ranks={}))], ["en"], 2)
    assert "rank distance" not in own
    assert parsed(own).find(".//p[@class='question']").get("dir") == "auto"


def test_the_table_of_ranks_has_a_row_a_model_a_column_a_language_and_the_distance():
    sides = [(Cell("static"), answer(ranks={"de": 1200, "en": 3})), (HYBRID, answer(ranks={"de": 7, "en": 11}))]
    tree = parsed(explorer_view.page("q", "en", "", sides, ["de", "en", "zh"], 2000))
    shown = [["".join(cell.itertext()) for cell in row] for row in tree.findall(".//div[@class='ranks']//tr")]
    assert shown == [
        ["model", "de", "en", "rank distance"],
        ["no fine-tuning, static", "1,200", "3", "1,197"],
        ["hybrid 0.5, static trained on the facts corpus, seed 0", "7", "11", "4"],
    ]
    assert "of 2,000 passages" in "".join(tree.find(".//caption").itertext())


def test_lists_follow_what_is_chosen(run):
    view = explorer_view.Explorer(run)
    view.answer()
    assert [option[0] for option in view.left.options] == [
        "no fine-tuning, tiny",
        "hybrid 0.5, tiny trained on train, seed 0",
    ]
    assert view.left.value.train == grid.NONE and view.right.value.strategy == "hybrid"
    first = view.lists.value
    assert "q0en" in first and "question 1, asked in English" in first
    view.question.value = "8 · q7en"
    assert "q7en</p>" in view.lists.value and view.question.value == ""
    view.language.value = "de"
    assert "q7de</p>" in view.lists.value and "question 8, asked in German" in view.lists.value  # the question stays
    view.right.value = view.left.value
    left, right = re.findall("<tbody>.*?</tbody>", view.lists.value)[:2]
    assert left == right
    view.own.value = "p3zh"
    assert "no right answers are known" in view.lists.value and "p3zh</td>" in view.lists.value
    view.question.value = "2 · q1de"
    assert view.own.value == "" and "q1de</p>" in view.lists.value
    before = view.lists.value
    view.question.value = "there is no such question"
    assert view.lists.value == before and "No question reads so" in view.status.value


def test_a_model_that_is_not_there_leaves_the_other_list(run, monkeypatch):
    monkeypatch.setattr(explorer, "QUICK", 0)
    artifacts.shutil.rmtree(paths.store() / "models")
    view = explorer_view.Explorer(run)
    view.answer()
    [notice] = parsed(view.lists.value).findall(".//p[@class='notice']")
    assert "not in the store" in notice.text
    assert view.lists.value.count("<tbody>") == 2  # the list of no fine-tuning, and its ranks


def test_progress_is_shown_while_texts_are_encoded(run):
    view, said = explorer_view.Explorer(run), []
    view.status.observe(lambda change: said.append(change["new"]), "value")
    view.answer()
    assert any("encoding" in line and "left" in line for line in said)
    assert re.search(r"72 passages ranked twice in \d+\.\d\d s", said[-1])


def test_readers_without_widgets_get_the_lists_as_html(run):
    view = explorer_view.Explorer(run)
    view.answer()
    shown = view._repr_mimebundle_()
    assert shown["text/html"] == view.lists.value and "application/vnd.jupyter.widget-view+json" in shown


# --- the notebook ---


def test_the_stored_notebook_shows_a_first_view_and_holds_no_state_of_widgets():
    text = (paths.NOTEBOOKS / "explore.ipynb").read_text(encoding="utf-8")
    assert "vnd.jupyter.widget" not in text
    outputs = [output for cell in json.loads(text)["cells"] for output in cell.get("outputs", [])]
    html = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    assert any("rank distance" in page for page in html)


def test_naming_a_cell_makes_its_model_again(run):
    from lib import __main__ as command

    cell = grid.plan(run.config)[-1]
    artifacts.shutil.rmtree(paths.store() / "models")
    changes = [word for change in run.overrides for word in ("--set", change)]
    assert command.main(["--profile", "smoke", *changes, "--cells", cell.id]) == 0
    assert cells.model(runs.open_run("smoke", run.overrides), cell).is_dir()
