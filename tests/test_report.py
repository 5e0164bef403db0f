"""The report: what it says is what the tables say, and everyone can read it, in a real browser."""

import html
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import nbformat
import pandas as pd
import pytest
import synthetic

from lib.base import config, paths, workers
from lib.base import store as artifacts
from lib.evidence import judge as evidence
from lib.evidence import selection, shift, tables
from lib.evidence.paper import verdicts
from lib.figures import gallery, style
from lib.runs import cells
from lib.runs import open as runs
from lib.show import texts
from lib.show.reporting import lead, report, report_page, sheets

HOSTILE = '<img src=x onerror=alert(1)> & "train".jsonl'
MOST = 3_000_000  # bytes: tables of two encoders are half of it
MAIN = "mAP in each setting, and rank distance"
FIGURES = {name: gallery.ALL[name] for name in ("map_by_setting", "loss")}


@pytest.fixture(scope="module")
def made_tiny(tmp_path_factory):
    """A finished run of one's own files, one of a hostile name, with two figures and an executed notebook."""
    folder = tmp_path_factory.mktemp("report")
    with synthetic.folders(folder) as patch:
        patch.setattr(gallery, "ALL", FIGURES)
        patch.setattr(workers, "COUNT", 2)
        encoder, _, test = synthetic.own_files(folder)
        (folder / "train.jsonl").rename(folder / HOSTILE)
        own = ["steps=9", "batch_size=8", "warmup_steps=1", "learning_rate=0.1", "seeds=[0,1]"]
        run = config.load("smoke", [encoder, f"train={folder / HOSTILE}", test, *own])
        evidence.judge(run)
        gallery.save_all(run)
        add_notebook(run.folder)
        report.write(run)
    return run, folder / "results"


@pytest.fixture(scope="module")
def made_full(tmp_path_factory, real_data):
    """The published run `full`, with its published tables, the cells that they were made from, and its figures."""
    published = paths.ROOT / "results" / "full" / "published"
    folder = tmp_path_factory.mktemp("full")
    shutil.copytree(published, folder / "full")
    shutil.copytree(paths.FIGURES / "full", folder / "full" / "figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRID_RESULTS", str(folder))
        run = replace(config.load("full"), finished=True)
        if missing := [name for name in runs.MIRROR_ONLY if not runs.obtainable(name)]:
            pytest.skip(f"{', '.join(missing)} is not here: set HYBRID_DATA_MIRROR to a folder that holds it")
        report.write(run)
    return run, folder


@pytest.fixture
def tiny(made_tiny, monkeypatch):
    run, folder = made_tiny
    monkeypatch.setenv("HYBRID_RESULTS", str(folder))
    monkeypatch.setattr(gallery, "ALL", FIGURES)
    return run


@pytest.fixture
def full(made_full, monkeypatch):
    run, folder = made_full
    monkeypatch.setenv("HYBRID_RESULTS", str(folder))
    return run


@pytest.fixture(params=["tiny", pytest.param("full", marks=pytest.mark.real_data)])
def run(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


def add_notebook(folder: Path) -> None:
    """An executed notebook beside its page, as `show.notebooks` leaves them."""
    (folder / "notebooks").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 1. The data\n\nText.")])
    notebook.metadata["papermill"] = {"duration": 61.2, "end_time": "2026-01-02T03:04:05+00:00"}
    nbformat.write(notebook, folder / "notebooks" / "01_data.ipynb")
    (folder / "notebooks" / "01_data.html").write_text("<!DOCTYPE html><html lang=en><title>1</title>")


def text_of(run: config.Run) -> str:
    return (run.folder / report.PAGE).read_text(encoding="utf-8")


@cache
def tree(text: str):
    return browser.tree(text)


def parsed(run: config.Run):
    return tree(text_of(run))


def words(element) -> str:
    return " ".join("".join(element.itertext()).split())


def table(run: config.Run, title: str) -> pd.DataFrame:
    """A table of the page as it shows it, with the exact numbers where there are some."""
    found = next(t for t in parsed(run).iter("table") if words(t.find("caption")) == title)
    head = [words(cell) for cell in found.find("thead").iter("th")]
    rows = [[(words(cell), cell.get("data-value") or None) for cell in row] for row in found.find("tbody")]
    return pd.DataFrame(rows, columns=head)


def shown(page: pd.DataFrame, column: str) -> list[str]:
    return [text for text, _ in page[column]]


def assert_exact(page: pd.DataFrame, column: str, expected: pd.Series, form: str) -> None:
    """Each number of a column is that of the table: to its sixth decimal, and rounded as it is shown."""
    assert len(page) == len(expected) > 0
    for (text, value), wanted in zip(page[column], expected, strict=True):
        if pd.isna(wanted):
            assert (text, value) == ("", None)
        else:
            assert float(value) == pytest.approx(wanted, rel=1e-9)
            assert text.split(" [")[0].replace("−", "-") == format(wanted, form)


# --- what it says ---


def test_figures_drawn_by_several_processes_are_the_same_bytes_as_those_of_one(tiny, monkeypatch):
    monkeypatch.setattr(workers, "COUNT", 1)
    by_one = {path: path.read_bytes() for path in gallery.save_all(tiny)}
    monkeypatch.setattr(workers, "COUNT", 2)
    with monkeypatch.context() as here:  # others read the figures anew
        here.setattr(gallery, "ALL", {name: (heading, pytest.fail) for name, (heading, _) in FIGURES.items()})
        assert {path: path.read_bytes() for path in gallery.save_all(tiny)} == by_one


def test_tables_made_by_several_processes_are_the_same_bytes_as_those_of_one(tiny, monkeypatch):
    wanted = {name: (tiny.folder / name).read_bytes() for name in (*tables.TABLES, *evidence.FILES)}
    monkeypatch.setattr(tables, "MANY", 2)
    tables.write(tiny)
    (tiny.folder / evidence.SEAL).unlink()
    evidence.write(tiny)
    assert {name: (tiny.folder / name).read_bytes() for name in wanted} == wanted


def test_the_page_is_small_and_valid(run):
    assert len(text_of(run).encode()) < MOST
    parsed(run)


def test_nothing_is_loaded_from_elsewhere(run):
    document = parsed(run)
    assert not list(document.iter("link"))
    loaded = [e.get(name) for e in document.iter() for name in ("src", "srcset", "poster", "data") if e.get(name)]
    assert loaded and all(address.startswith("data:image/webp;base64,") for address in loaded)
    policy = next(e.get("content") for e in document.iter("meta") if e.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    assert "@import" not in text_of(run) and "url(" not in text_of(run)


def test_every_link_leads_somewhere(run):
    document = parsed(run)
    ids = [e.get("id") for e in document.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    links = [e.get("href") for e in document.iter("a")]
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        elif not urlsplit(link).scheme:
            assert (run.folder / unquote(link)).is_file(), link
        else:
            assert link == "https://arxiv.org/abs/2408.10536"


def test_claims_stand_with_verdict_reason_rule_and_numbers(full):
    run, everywhere = full, tables.read(full, "claims.csv").astype(object).fillna("")
    judged = everywhere[everywhere["encoder"] == run.config.encoder[0]]
    items = next(e for e in parsed(run).iter("ol") if e.get("class") == "claims").findall("li")
    assert len(items) == len(judged)
    for item, claim in zip(items, judged.itertuples(), strict=True):
        text = words(item)
        parts = (claim.id, claim.claim, claim.verdict, claim.reason, claim.rule.replace("`", ""), claim.caveat)
        assert all(" ".join(part.split()) in text for part in (*parts, *claim.numbers.split("; ")))
        others = everywhere[(everywhere["id"] == claim.id) & (everywhere["encoder"] != claim.encoder)]
        assert all(f"{other.encoder}: {other.verdict}" in text for other in others.itertuples())
        for one in everywhere[(everywhere["id"] == claim.id) & (everywhere["changed"] != "")].itertuples():
            assert f"First published, of {one.encoder}: {one.first}; {one.changed}" in text
    own = judged[~judged["id"].isin(["S", "RQ"])]
    said = sheets.claims_in_words(judged)
    assert said in " ".join(words(e) for e in parsed(run).iter("p"))
    results, method = said.split("; of its ")
    for part, found in ((results, own[-4:]), (method, own[:-4])):
        for verdict in (verdicts.REPRODUCED, verdicts.PARTLY, verdicts.NOT_RUN):
            count = (found["verdict"] == verdict).sum()
            assert (f"{count} {verdict}" in part) == (count > 0)
        assert ("(provisional)" in part) == found["reason"].str.contains("provisional").any()


def test_the_main_table_is_that_of_the_run(run):
    page, expected = (
        table(run, MAIN),
        selection.headline(tables.read(run, "metrics.csv")),
    )
    names = {"dataset": "tested on", "train": "trained on"}
    keys = [names.get(name, name) for name in expected.index.names]
    assert list(zip(*(shown(page, name) for name in keys), strict=True)) == list(expected.index)
    for name in expected:
        assert_exact(page, name, expected[name], ",.0f" if name == "rank distance" else ".3f")


def test_differences_and_their_intervals_are_those_of_the_table(run):
    page, expected = table(run, "Paired differences"), tables.read(run, "effects.csv")
    for metric, form in (("map", "+.3f"), ("rank_distance", "+,.0f")):
        part = expected[expected["metric"] == metric]
        of_metric = page[[text == metric for text in shown(page, "measure")]]
        assert_exact(of_metric, "difference [95% interval]", part["difference"], form)
        ends = [f"[{low:{form}}, {high:{form}}]" for low, high in zip(part["low"], part["high"], strict=True)]
        texts = [text.replace("−", "-") for text in shown(of_metric, "difference [95% interval]")]
        assert [text.split(" ", 1)[1] for text in texts] == ends
    assert_exact(page, "p (Holm)", expected["p_holm"], ".4f")
    assert_exact(page, "seeds", expected["seeds"], "d")


def test_the_mean_over_languages_is_the_multilingual_map(tiny):
    page, whole = table(tiny, "Multilingual mAP by the language of the question"), table(tiny, MAIN)
    languages = page[list(synthetic.LANGUAGES)].map(lambda cell: float(cell[1]))
    expected = [float(value) for _, value in whole["multilingual"]]
    assert list(languages.mean(axis=1)) == pytest.approx(expected, abs=5.1e-5)  # of 4 decimals


def test_the_answer_stands_with_the_costs_that_it_is_made_of():
    same = {"encoder": "e5-small-q4", "nearer": "xquad-r", "farther": "parallel-docs", "test": "mlqa-r"}
    same |= {"setting": "multilingual", "languages": "all", "low": 0.0, "high": 0.1, "clusters": 520, "seeds": 5}
    rows = [
        same | {"quantity": shift.COST, "strategy": label, "baseline": "", "value": value, "verdict": ""}
        for label, value in {"hybrid-0.5": 0.01, "x-y": 0.03}.items()
    ]
    rows.append(same | {"quantity": shift.DIFFERENCE, "strategy": "hybrid-0.5", "baseline": "x-y", "value": -0.02,
                        "verdict": "more robust"})  # fmt: skip
    (found,) = shift.with_costs(pd.DataFrame(rows, columns=shift.COLUMNS)).itertuples()
    assert (found.hybrid, found.cost, found.value, found.verdict) == (0.01, 0.03, -0.02, "more robust")
    sheet = sheets.answer(shift.with_costs(pd.DataFrame(rows, columns=shift.COLUMNS)))
    assert sheet.rows["cost of hybrid"].iloc[0].text == "+0.010" and sheet.rows["that is"].tolist() == ["more robust"]


def own_of(monkeypatch, encoders, trains):
    """The leading table on own data, of made-up tables in which each place has a mAP and a difference of its own."""
    metrics, paired = [], []
    for n, (encoder, train) in enumerate((encoder, train) for encoder in encoders for train in trains):
        at = {"encoder": encoder, "dataset": "mine", "setting": "multilingual", "metric": "map"}
        for label, alpha, value in (("none", None, 0.1), ("x-y", None, 0.3 + n / 100), ("hybrid", 0.5, 0.5 + n / 100)):
            place = {"train": "none" if label == "none" else train, "strategy": label, "alpha": alpha}
            metrics += [at | place | {"seed": 0, "value": value}] * (label != "none" or train == trains[0])
        for label in ("none", "x-y"):
            ends = {"difference": n / 10, "low": n / 10 - 0.01, "high": n / 10 + 0.01}
            paired.append(at | ends | {"train": train, "languages": "all", "strategy": "hybrid-0.5", "baseline": label})
    given = {"metrics.csv": pd.DataFrame(metrics), "effects.csv": pd.DataFrame(paired)}
    monkeypatch.setattr(tables, "read", lambda run, name: given[name])
    return sheets.own(None)


def test_on_data_of_ones_own_each_difference_stands_beside_its_encoder_and_its_training_set(monkeypatch):
    sheet = own_of(monkeypatch, ["e", "f"], ["a", "b"])
    rows, differences = sheet.rows, "hybrid minus it, multilingual"
    assert list(rows)[:4] == ["strategy", "encoder", "tested on", "trained on"] and len(rows) == 10
    found = rows[rows["strategy"] == "x-y"]
    assert list(zip(found["encoder"], found["trained on"], strict=True)) == [(x, y) for x in "ef" for y in "ab"]
    assert [cell.value for cell in found["multilingual"]] == pytest.approx([0.3, 0.31, 0.32, 0.33])
    assert [cell.value for cell in found[differences]] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert not rows.loc[rows["strategy"] != "x-y", differences].map(lambda cell: cell.text).any()
    assert sheet.note.endswith("Hybrid minus none after each training: see the paired differences.")


def test_on_data_of_ones_own_what_there_is_one_of_has_no_column(monkeypatch):
    rows = own_of(monkeypatch, ["e", "f"], ["a"]).rows
    assert "encoder" in rows and "trained on" not in rows and len(rows) == 6
    found = rows[rows["strategy"] != "hybrid 0.5"]["hybrid minus it, multilingual"]
    assert [cell.value for cell in found] == pytest.approx([0, 0, 0.1, 0.1])  # no fine-tuning too
    rows = own_of(monkeypatch, ["e"], ["a", "b"]).rows
    assert "encoder" not in rows and list(rows["trained on"]) == ["none", "a", "a", "b", "b"]


def test_the_commit_is_that_of_the_project_and_not_of_a_repository_around_it(tmp_path, monkeypatch):
    def git(folder, *arguments):
        named = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", folder, *named, *arguments], check=True, capture_output=True)

    def begin(folder):
        git(folder, "init")
        git(folder, "commit", "--allow-empty", "-m", "first")

    inner = tmp_path / "outer" / "project"
    inner.mkdir(parents=True)
    monkeypatch.setattr(paths, "ROOT", inner)
    begin(tmp_path / "outer")
    assert report_page.commit() == ""
    for name, place in (("GIT_DIR", ".git"), ("GIT_WORK_TREE", "")):
        monkeypatch.setenv(name, str(tmp_path / "outer" / place))
    assert report_page.commit() == ""
    with monkeypatch.context() as here:
        for name in report_page.GIT:
            here.delenv(name, raising=False)
        begin(inner)
        own = report_page.commit()
    assert re.fullmatch("[0-9a-f]{12}", own) and report_page.commit() == own


@pytest.mark.real_data
def test_the_answer_of_full_is_that_of_the_readme(full):
    moved = tables.read(full, "domain_shift.csv")
    rows = shift.with_costs(moved)
    quoted = html.unescape(re.sub("<[^>]+>", "", text_of(full).split('<section id="answer"')[1].split("</section>")[0]))
    assert style.capital(texts.short(texts.numbers(full))) in quoted
    assert f"{texts.opening(texts.numbers(full))} The test is held fixed and the training set changes: C is" in quoted
    page = table(full, "Hybrid batches against each other strategy")
    assert shown(page, "that is") == list(rows["verdict"])
    assert_exact(page, "D [95% interval]", rows["value"], "+.3f")
    assert rows.groupby("encoder").size().to_dict() == dict.fromkeys(full.config.encoder, 8)  # of both tests, x-x too
    lines = texts.answer(texts.numbers(full)).splitlines()
    asked = rows[rows["baseline"] != "x-x"]
    for (encoder, baseline), both in asked.groupby(["encoder", "baseline"]):
        (line,) = (line for line in lines if line.startswith(f"| {encoder} | `{baseline}` |"))
        said = [f"{texts.interval(row)} | {row['verdict']}" for row in both.to_dict("records")]
        assert f"| {' | '.join(said)} |" in line


@pytest.mark.real_data
def test_the_ledger_shows_the_cells_that_have_a_counterpart(full):
    page, whole = table(full, "The paper beside ours"), tables.read(full.of_first(), "ledger.csv.bz2")
    ours = whole[whole["ours"].notna()]
    for strategy in ("x-x-mono", "x-y", "hybrid"):
        part = ours[ours["strategy"] == strategy]
        is_map = part["metric"] != "rank_distance"
        for name in ("paper", "ours"):
            assert_exact(page[is_map.to_numpy()], f"{strategy}: {name}", part.loc[is_map, name], ".3f")
            assert_exact(page[~is_map.to_numpy()], f"{strategy}: {name}", part.loc[~is_map, name], ",.0f")
        assert shown(page, f"{strategy}: direction") == list(part["direction"])
    assert shown(page, "order") == list(part["order"])


def test_the_ledger_shows_the_strategies_that_were_run(tiny, monkeypatch):
    rows = [
        {"table": 3, "paper_encoder": "xlm-r", "dataset": dataset, "setting": "multilingual", "metric": metric,
         "language": "de", "strategy": strategy, "paper": 0.5, "ours": ours, "difference": 0.0,
         "direction": "agrees", "order": "agrees", "note": note}
        for dataset, metric, strategy, ours, note in [
            ("xquad-r", "map", "x-y", 0.4, "a"), ("xquad-r", "map", "hybrid", 0.6, "a"),
            ("mlqa-r", "rank_distance", "x-y", 70.2, None), ("mlqa-r", "rank_distance", "hybrid", None, None),
        ]
    ]  # fmt: skip
    monkeypatch.setattr(tables, "read", lambda *_: pd.DataFrame(rows))
    found = sheets.ledger(tiny).rows
    assert list(found["tested on"]) == ["xquad-r", "mlqa-r"] and list(found["note"]) == ["a", ""]
    assert [cell.text for cell in found["x-y: ours"]] == ["0.400", "70"]
    assert [cell.text for cell in found["hybrid: ours"]] == ["0.600", ""]
    assert list(found["hybrid: direction"]) == ["agrees", ""]


@pytest.mark.real_data
def test_the_table_of_shifts_is_that_of_the_run(full):
    page, whole = table(full, "Domain shift"), tables.read(full, "domain_shift.csv")
    whole = whole[whole["languages"].isin(["all", "in training", "not in training"])]
    assert shown(page, "quantity") == list(whole["quantity"])
    assert_exact(page, "value [95% interval]", whole["value"], "+.3f")
    assert_exact(page, "articles", whole["clusters"], "d")


def test_figures_stand_in_the_order_of_the_gallery_with_title_and_description(run):
    figures = list(parsed(run).iter("figure"))
    drawn = {path.stem for path in (run.folder / "figures").glob("*.png")}
    there = [name for name in gallery.available(run) if name in drawn]
    assert [figure.get("id") for figure in figures] == [f"figure-{name}" for name in there]
    for name, figure in zip(there, figures, strict=True):
        caption = style.caption(run.folder / "figures" / f"{name}.png")
        assert words(figure.find("figcaption")).startswith(style.capital(caption))
        alt = next(figure.iter("img")).get("alt")
        assert style.capital(caption) in alt and len(alt) > len(caption) + 20


@pytest.mark.real_data
def test_figures_of_the_published_evidence_say_what_to_see_in_them(full):
    said = {figure.get("id"): words(figure.find("figcaption")) for figure in parsed(full).iter("figure")}
    read = texts.gallery(texts.published())
    assert all(read[name].replace("`", "") in said[f"figure-{name}"] for name in ("shift", "alpha", "top10"))


def test_what_was_written_of_the_published_evidence_is_not_said_of_another_run(tiny):
    assert lead.readings(tiny) == {}


def test_dark_pages_have_dark_figures_where_there_are_some(tiny):
    document = parsed(tiny)
    assert len(list(document.iter("source"))) == len(FIGURES)
    assert not [e for e in document.iter("div") if "card" in (e.get("class") or "")]


def test_how_it_was_made_names_configuration_data_software_and_machine(run):
    text = " ".join("".join(parsed(run).itertext()).split())
    made = artifacts.read_sealed(run.folder / tables.PROVENANCE)
    inputs = [cells.record(run, cell)["inputs"] for cell in cells.of(run)]
    read = {digest for of in inputs for digest in (*of["eval"].values(), of.get("train")) if digest}
    assert read == {digest for _, _, digest in made["sets"]} and all(digest in text for digest in read)
    for cell in made["cells"].values():
        assert cell["sha256"] in text and cell["made"]["device"] in text
    terms = {
        words(row.find("dt")): words(row.find("dd")) for row in parsed(run).iter("div") if row.find("dt") is not None
    }
    assert terms.items() >= made["software"].items() and set(made["config"]) <= set(terms)
    assert made["digest"] in text and report_page.commit() in text


def test_executed_notebooks_are_linked_with_their_titles(tiny):
    link = next(e for e in parsed(tiny).iter("a") if e.get("href") == "notebooks/01_data.html")
    assert words(link) == "1. The data"
    assert "1 min 01 s, 2026-01-02" in text_of(tiny)


def test_names_are_shown_and_never_read_as_html(tiny):
    assert HOSTILE.split(".jsonl")[0] in " ".join("".join(parsed(tiny).itertext()).split())
    assert "<img src=x" not in text_of(tiny)
    assert not [name for e in parsed(tiny).iter() for name in e.attrib if name.startswith("on")]


def test_on_data_of_ones_own_the_page_begins_with_what_training_changed_there(tiny):
    page, metrics = table(tiny, "mAP before and after training"), tables.read(tiny, "metrics.csv")
    assert shown(page, "strategy") == ["none", "x-x-mono", "x-y", "hybrid 0.5"]
    found = metrics[(metrics["metric"] == "map") & (metrics["setting"] == "multilingual")]
    assert_exact(page, "multilingual", found.groupby("strategy", sort=False)["value"].mean(), ".3f")
    text = " ".join("".join(parsed(tiny).itertext()).split())
    assert "What did training change on your data?" in text
    assert "Not run" not in text and "paper’s claims" not in text


def test_a_run_of_the_suite_that_does_not_ask_the_question_begins_with_the_published_answer(tiny, monkeypatch):
    monkeypatch.setattr(lead, "of_own", lambda run: lead.as_published())
    first = words(tree(report_page.render(tiny)).find(".//section[@id='answer']"))
    assert first.startswith("Do hybrid batches make a multilingual retriever more robust to another kind of texts?")
    said = " ".join(style.capital(texts.short(texts.published())).split())
    assert f"{said}. As published. This run does not ask the question: that takes" in first


def test_on_the_facts_corpus_the_page_starts_with_the_warning(tiny):
    run = replace(tiny, fallback=True)
    shutil.copytree(tiny.folder, run.folder)
    for name in (*tables.TABLES, *evidence.TABLES):
        tables.save(run, name, tables.read(tiny, name))
    report.write(run)
    body = words(parsed(run).find("body"))
    assert body.startswith(f"Skip to the answer {style.WARNING}. {config.FACTS_ONLY}")
    assert style.WARNING not in text_of(tiny)


def test_verdicts_of_other_cells_are_not_shown(tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny.folder, tmp_path / tiny.name)
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    (tiny.folder / "evidence.json").unlink()
    assert "Not judged yet." in report_page.render(tiny)
    assert "Paired differences" not in report_page.render(tiny)


def test_the_page_is_valid_for_html_validate(run):
    found = shutil.which("html-validate") or shutil.which("html-validate", path=paths.ROOT / "node_modules" / ".bin")
    if found is None:
        pytest.skip("html-validate is not installed: npm install html-validate")
    done = subprocess.run([found, "--preset", "standard,a11y,document", run.folder / report.PAGE], capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[:3000]


# --- how it behaves, in a browser ---


# Rows of a table are alike: of the thousands of a large run the first are looked at.
FEWER_ROWS = "for (const body of document.querySelectorAll('tbody')) [...body.rows].slice(40).forEach(r => r.remove())"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everyone_can_read_it(run, chromium, dark):
    address = (run.folder / report.PAGE).as_uri()
    with browser.opened(chromium, address, dark=dark) as (page, errors):
        for part in page.locator("main details").all()[:2]:
            part.locator("summary").click()
        page.evaluate(FEWER_ROWS)
        assert browser.violations(page, only="color-contrast" if dark else None) == []  # the rest is the same page
    assert errors == []


def column(page, number: int) -> list[str]:
    return page.locator("#main-table").locator("..").locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_tables_sort_by_click_and_by_keyboard_and_say_so(run, chromium):
    with browser.opened(chromium, (run.folder / report.PAGE).as_uri()) as (page, errors):
        section = page.locator("#main-table").locator("..")
        heads = section.locator("thead th").all_inner_texts()
        # A number that every row has: MIRACL's have none across languages, see the next test.
        place = [head.split("\n")[0].strip() for head in heads].index("monolingual") + 1
        button = section.get_by_role("button", name="monolingual")
        button.click()
        head = section.locator("thead th").nth(place - 1)
        up = [float(text) for text in column(page, place)]
        assert up == sorted(up) and head.get_attribute("aria-sort") == "ascending"
        button.focus()
        page.keyboard.press("Enter")
        down = [float(text) for text in column(page, place)]
        assert down == up[::-1] != up and head.get_attribute("aria-sort") == "descending"
        assert page.get_by_role("status").inner_text().endswith("sorted by monolingual, descending")
        section.get_by_role("button", name="strategy").press("Space")
        names = column(page, table(run, MAIN).columns.get_loc("strategy") + 1)
        assert names == sorted(names)
        assert section.locator("[aria-sort]").count() == 1
        for name in set(names):  # stable: within a strategy the order by mAP is kept
            same = [float(v) for v, n in zip(column(page, place), names, strict=True) if n == name]
            assert same == sorted(same, reverse=True)
    assert errors == []


def test_missing_numbers_stay_last_and_ranks_sort_as_numbers(run, chromium):
    with browser.opened(chromium, (run.folder / report.PAGE).as_uri()) as (page, _):
        section = page.locator("#main-table").locator("..")
        for name in ("seeds", "rank distance"):
            place = table(run, MAIN).columns.get_loc(name) + 1
            for _ in range(2):
                section.get_by_role("button", name=name).click()
                values = [text.replace(",", "") for text in column(page, place)]
                there = [float(value) for value in values if value.strip()]
                assert "".join(values[len(there) :]).strip() == ""
                assert there in (sorted(there), sorted(there, reverse=True))


def test_the_keyboard_reaches_the_answer_first(run, chromium):
    with browser.opened(chromium, (run.folder / report.PAGE).as_uri()) as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        page.wait_for_function("location.hash === '#answer'")


def test_a_phone_scrolls_tables_and_not_the_page(run, chromium):
    with browser.opened(chromium, (run.folder / report.PAGE).as_uri(), viewport=browser.PHONE) as (page, errors):
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= browser.PHONE["width"]
        wide = page.locator("#main-table").locator("..").locator(".scroll")
        assert wide.evaluate("box => box.scrollWidth > box.clientWidth") and wide.get_attribute("tabindex") == "0"
    assert errors == []


def test_everyone_can_read_it_on_a_phone(tiny, chromium):
    """The page of a small run, with everything open: of the large one it takes two minutes to look at all cells."""
    with browser.opened(chromium, (tiny.folder / report.PAGE).as_uri(), viewport=browser.PHONE) as (page, errors):
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert browser.violations(page) == []
    assert errors == []


def test_it_prints_with_everything_open(run, chromium):
    with browser.opened(chromium, (run.folder / report.PAGE).as_uri()) as (page, errors):
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details[open]").count() == 0
        page.evaluate(FEWER_ROWS)
        assert page.pdf().startswith(b"%PDF")
    assert errors == []


def test_it_reads_without_scripts(full, chromium):
    address = (full.folder / report.PAGE).as_uri()
    with browser.opened(chromium, address, java_script_enabled=False) as (page, _):
        page.locator(".claims summary").first.click()
        assert page.locator(".claims details p").first.is_visible()
        assert page.get_by_role("button").count() == 0
