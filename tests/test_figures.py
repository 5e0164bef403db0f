"""Figures: titles say what is shown, files carry their provenance, nothing is clipped or too small to read."""

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.text import Text
from PIL import Image

from lib.base import config, paths, workers
from lib.data import catalog as data
from lib.data import sets as parallel
from lib.evaluation import measures
from lib.evaluation.metrics import SETTINGS
from lib.evidence import effects, selection, tables
from lib.evidence import judge as evidence
from lib.figures import evidence as figures_evidence
from lib.figures import gallery, style
from lib.figures import retrieval as figures
from lib.runs import cells
from lib.runs import plan as grid

LANGUAGES = ["ar", "de", "en"]
# The figures for which the tables of metrics are enough.
PLAIN = {"map_by_setting", "data", "kinds", "batches", "loss", "languages", "rank_distance", "top10"}
DIGEST = "0123456789abcdef"
ALPHA = {"none": np.nan, "en-en": np.nan, "x-x": np.nan, "x-x-mono": 1.0, "x-y": 0.0, "hybrid": 0.5}
MAPS = {"none": 0.30, "x-x-mono": 0.53, "x-y": 0.55, "hybrid": 0.56}
DISTANCES = {"none": 1200.0, "x-x-mono": 400.0, "x-y": 350.0, "hybrid": 300.0}
BATCHES = {
    "en-en": ["en>en:4"] * 2,
    "x-x": ["ar>ar:2 de>de:2"] * 2,
    "x-x-mono": ["de>de:4", "ar>ar:4"],
    "x-y": ["ar>de:2 de>en:2"] * 2,
    "hybrid": ["en>en:4", "en>ar:2 ar>en:2"],
}


def small_set(name: str, candidates: str = "sentence") -> parallel.ParallelSet:
    """Three questions; on MLQA-R the last one has only two languages."""
    rows = [{"id": f"{n}", "q": dict.fromkeys(LANGUAGES, "q"), "p": dict.fromkeys(LANGUAGES, "p")} for n in range(3)]
    if name == "mlqa-r":
        for part in "qp":
            rows[2][part] = {"ar": "x", "en": "x"}
    return parallel.from_rows(name, rows)


def trainable_set(name: str) -> parallel.ParallelSet:
    """Enough questions for a batch."""
    return parallel.from_rows(name, [
        {"id": f"{n}", "q": {c: f"q{n} {c}" for c in LANGUAGES}, "p": {c: f"p{n} {c}" for c in LANGUAGES}}
        for n in range(40)
    ])  # fmt: skip


def write(run: config.Run, maps: dict = MAPS, distances: dict = DISTANCES, seeds: tuple = (0,)) -> config.Run:
    """The tables of a run, those of bias empty, with the given multilingual mAP and rank distance on every set."""
    macro, languages, top, log = [], [], [], []
    names = {"facts": "facts"} if style.on_facts(run) else {"xquad-r": "mlqa-r", "mlqa-r": "xquad-r"}
    for (dataset, train), strategy in product(names.items(), maps):
        for seed in (np.nan,) if strategy == "none" else seeds:
            trained = "none" if strategy == "none" else train
            cell = ["static", trained, strategy, ALPHA[strategy], seed, dataset, dataset]
            extra = 0.01 * (seed if seed == seed else 0)
            value = maps[strategy] + extra
            distance = distances[strategy] * (1 + extra)
            macro += [[*cell, "multilingual", "map", value, 9], [*cell, "multilingual", "rank_distance", distance, 9]]
            macro += [[*cell, s, "map", 0.8 - value / 10, 9] for s in ("monolingual", "cross-lingual")]
            for query, passage in product(LANGUAGES, LANGUAGES):
                setting = "monolingual" if query == passage else "cross-lingual"
                languages.append([*cell, setting, query, passage, "map", value + 0.1 * (query == passage), 3])
                own = 0.6 if strategy == "none" else 0.4
                top.append([*cell, query, passage, own if query == passage else (1 - own) / 2, 1 / 3])
            for query in LANGUAGES:
                languages.append([*cell, "multilingual", query, "all", "rank_distance", distance, 3])
            for step, batch in enumerate(BATCHES.get(strategy, ()), start=1):
                log.append([*cell[:5], step, 0, 3.0 - step, "", 0, batch])
    keys = tables.KEYS[:-1]
    store(run, "metrics.csv", macro, [*keys, "setting", *tables.VALUES])
    pairs = ["query_language", "passage_language"]
    store(run, "metrics_by_language.csv.bz2", languages, [*keys, "setting", *pairs, *tables.VALUES])
    store(run, "top10_languages.csv.bz2", top, [*keys, *pairs, "share", "pool_share"])
    store(run, "bias.csv.bz2", [], [*tables.SCORED, "measure", "value"])
    store(run, "training_log.csv.bz2", log, [*keys[:5], "step", "epoch", "loss", "kind", "avoided", "languages"])
    return run


def store(run: config.Run, name: str, rows: list, columns: list[str]) -> None:
    tables.save(run, name, pd.DataFrame(rows, columns=columns))


def change(run: config.Run, strategy: str, dataset: str, value: float, metric: str = "map") -> None:
    """Change one number of the multilingual setting."""
    table = tables.read(run, "metrics.csv")
    row = (table["strategy"] == strategy) & (table["dataset"] == dataset) & (table["metric"] == metric)
    table.loc[row & (table["setting"] == "multilingual"), "value"] = value
    table.to_csv(run.folder / "metrics.csv", index=False)


@pytest.fixture
def run(tmp_path, monkeypatch) -> config.Run:
    monkeypatch.setenv("HYBRID_RESULTS", str(tmp_path))
    monkeypatch.setattr(data, "evaluation_set", small_set)
    monkeypatch.setattr(data, "outline", small_set)
    monkeypatch.setattr(data, "training_set", lambda name, *_: trainable_set(name))
    monkeypatch.setattr(tables, "digest", lambda run: DIGEST)
    monkeypatch.setattr(tables, "source", lambda run: f"cells {DIGEST}")
    monkeypatch.setattr(workers, "COUNT", 1)  # another process would not know of what stands in for the data here
    return config.load("quick", ["encoder=static"])


def titled(run: config.Run, name: str = "map_by_setting") -> str:
    return style.title(gallery.ALL[name][1](run))


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_a_title_says_what_is_shown_in_one_line_whatever_the_numbers_are(run):
    write(run)
    before = {name: titled(run, name) for name in PLAIN}
    assert all(0 < len(text) <= 88 for text in before.values()), "more would not fit beside each other on one line"
    assert len(set(before.values())) == len(before)
    change(run, "none", "mlqa-r", 0.9)
    assert {name: titled(run, name) for name in PLAIN} == before


def test_a_training_that_two_cells_share_is_in_the_log_once(run, monkeypatch):
    """Cells on a large set alone have the models of others."""
    run = replace(run, config=replace(run.config, encoder=("e5-small-q4",)))
    whole = config.load("full").config
    trained = [cell for cell in grid.plan(whole) if cell.train != grid.NONE]
    found = grid.trainings(grid.plan(whole))
    assert len(found) == len({tuple(cell.columns().values()) for cell in trained}) < len(trained)
    assert not any(cell.on for cell in found)
    alone = [cell for cell in trained if cell.on]
    assert grid.trainings(alone) == alone
    one, twin = next(cell for cell in trained if replace(cell, on="") == replace(alone[0], on="")), alone[0]
    step = {"step": 1, "epoch": 0, "loss": 1.0, "kind": "", "avoided": 0, "languages": "en>en:4"}
    monkeypatch.setattr(cells, "of", lambda run: [grid.Cell("e5-small-q4"), one, twin])
    monkeypatch.setattr(cells, "training_log", lambda run, cell: {"steps": [step]})
    assert len(evidence.train(run)) == len(tables.read(run, "training_log.csv.bz2")) == 1


@given(st.dictionaries(st.sampled_from(list(style.STRATEGIES)), st.floats(0, 1), min_size=1))
def test_leaders_are_the_best_and_all_within_the_margin(values):
    found, best = selection.leaders(values), max(values.values())
    assert any(values[name] == best for name in found)
    assert all((best - value <= effects.MARGIN + 1e-12) == (name in found) for name, value in values.items())


def test_of_several_alphas_the_one_nearest_to_half_stands_for_hybrid():
    table = pd.DataFrame({"strategy": ["x-y", "hybrid", "hybrid", "hybrid"], "alpha": [0.0, 0.25, 0.5, 0.75]})
    table["seed"] = 0
    assert selection.chosen(table)["alpha"].tolist() == [0.0, 0.5]
    assert selection.chosen(table[table["alpha"] != 0.5])["alpha"].tolist() == [0.0, 0.25]


def test_means_are_taken_over_the_seeds_that_all_strategies_have_after_the_same_training():
    made = {("xquad-r", "x-y"): (0, 1), ("xquad-r", "hybrid"): (0, 1, 2), ("mlqa-r", "x-y"): (3,)}
    rows = [(*cell, 0.5 if cell[1] == "hybrid" else 0.0, seed) for cell, seeds in made.items() for seed in seeds]
    rows.append(("none", "none", np.nan, np.nan))
    table = pd.DataFrame(rows, columns=["train", "strategy", "alpha", "seed"])
    kept = selection.paired(table)
    assert kept["seed"].tolist() == pytest.approx([0, 1, 0, 1, 3, np.nan], nan_ok=True)
    assert selection.paired(table[table["train"] == "none"])["train"].tolist() == ["none"]


def shape(marker: MarkerStyle | PathCollection) -> list[list[float]]:
    """The corners of a marker, as it is or as it was drawn."""
    if isinstance(marker, PathCollection):
        return marker.get_paths()[0].vertices.round(6).tolist()
    return marker.get_path().transformed(marker.get_transform()).vertices.round(6).tolist()


@pytest.mark.parametrize("first", ["mlqa-r", "miracl-mini"])
def test_the_forest_names_settings_and_sets_beside_panels_that_are_there(run, first):
    """Of three sets one has no pool of all languages, and one is held out."""
    rows = [
        {"train": "xquad-r", "dataset": dataset, "setting": setting, "metric": "map", "languages": "all",
         "strategy": "hybrid-0.5", "baseline": "x-y", "difference": 0.02, "low": 0.01, "high": 0.03, "seeds": 5}
        for dataset in sorted(("mlqa-r", "miracl-mini", "xquad-r-heldout"), key=lambda name: name != first)
        for setting in SETTINGS[: 1 if dataset == "miracl-mini" else 3]
    ]  # fmt: skip
    table = pd.DataFrame(rows)

    def drawn(part: pd.DataFrame) -> Figure:
        tables.save(run, "effects.csv", part)
        return figures_evidence.forest(run)

    shown = [axes for axes in drawn(table).axes if axes.get_visible()]
    assert len(shown) == 4
    assert sorted(filter(None, (axes.get_title(loc="left") or axes.get_title() for axes in shown))) == sorted(SETTINGS)
    named = [axes.get_ylabel().splitlines()[0] for axes in shown if axes.get_ylabel()]
    assert sorted(named) == ["MIRACL-mini", "MLQA-R"]
    for axes in shown:
        assert not axes.get_ylabel() or any(label.get_visible() for label in axes.get_yticklabels())
    assert len(drawn(table[table["dataset"] == "miracl-mini"]).axes) == 1
    far = table[table["dataset"] == "mlqa-r"].assign(baseline="en-en", difference=0.5, low=0.4, high=0.6)
    axes = next(axes for axes in drawn(pd.concat([table, far])).axes if "+.500" in texts(axes))
    ends = axes.get_xlim()
    assert -0.02 < ends[0] < 0 and 0.03 < ends[1] < 0.05  # the scale is that of the strategies hybrid is made of
    far_away, near = axes.collections
    assert [float(mark.get_offsets()[0, 0]) for mark in (far_away, near)] == pytest.approx([ends[1], 0.02])
    assert shape(far_away) == shape(MarkerStyle(">")) and shape(near) == shape(MarkerStyle(style.MARKERS["x-y"]))
    long = table[table["dataset"] == "mlqa-r"].assign(baseline="en-en", high=0.6)
    axes = next(axes for axes in drawn(pd.concat([table, long])).axes if len(axes.collections) == 3)
    assert [shape(mark) for mark in axes.collections[:2]] == [
        shape(MarkerStyle(m)) for m in (style.MARKERS["en-en"], ">")
    ]
    assert "of its own training set alone" in style.title(drawn(table[table["dataset"] == "xquad-r-heldout"]))


def test_numbers_are_written_as_in_the_paper():
    assert [measures.number(value) for value in (0.5651, 1.0, 0.0)] == [".565", "1.000", ".000"]
    assert [measures.number(value, sign=True) for value in (0.012, -0.012)] == ["+.012", "−.012"]
    values = (0.0004, -0.0004, 0.0006, -0.0006, 0.012)
    assert [measures.difference(value) for value in values] == [".000", ".000", "+.001", "−.001", "+.012"]


def test_every_strategy_has_a_colour_and_a_marker_of_its_own():
    names = set(get_args(config.Strategy))
    assert set(style.STRATEGIES) == set(style.COLOURS) == set(style.MARKERS) == names
    assert set(style.LINES) == names - {"none"}
    for table in (style.COLOURS, style.MARKERS, style.LINES):
        assert len({str(value) for value in table.values()}) == len(table)


def test_each_figure_is_saved_in_two_formats_with_its_provenance_and_again_with_the_same_bytes(run, monkeypatch):
    names = ("map_by_setting", "top10", "languages")
    monkeypatch.setattr(gallery, "ALL", {name: gallery.ALL[name] for name in names})
    write(run)
    saved, main = gallery.save_all(run), titled(run)
    ends = (".svg", ".png", "-dark.svg", "-dark.png")
    assert {p.name for p in saved} == {f"{name}{end}" for name in names for end in ends}
    first = {path: path.read_bytes() for path in saved}
    for path, content in first.items():
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == 1350
                title, inside = image.text["Title"], image.text["Description"]
        else:
            root = ET.fromstring(content)
            title, inside = root.findtext("{*}title"), root.findtext(".//{*}description")
            assert root.find(".//{*}date") is None
        origin = json.loads(inside)
        assert (title == main) == (path.stem.removesuffix("-dark") == "map_by_setting") and len(title) > 20
        assert (origin["run"], origin["cells"], origin["profile"]) == (run.name, DIGEST, "quick")
        assert "trained on mlqa-r, xquad-r; scored on xquad-r, mlqa-r" in origin["data"]
    figure = figures.top10_languages(run)
    again = style.save(figure, run.folder / "figures" / "top10", origin)
    places = [axes.get_position(original=True).get_points() for axes in figure.axes]
    assert np.array_equal(places, np.round(places, style.PLACES))  # what a solver leaves below that varies
    assert [path.read_bytes() for path in again] == [first[path] for path in again]
    assert len(list((run.folder / "figures").iterdir())) == len(saved)


def test_a_picture_has_a_palette_and_a_strategy_keeps_its_colour(run):
    write(run)
    figure = style.new(run, 2.0)
    axes = figure.subplots()
    for place, name in enumerate(style.STRATEGIES):
        axes.barh(place, 1, color=style.COLOURS[name])
    content = style.render(figure, "png", style.DPI, {"Title": "·"})
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "P" and image.text["Title"] == "·"
        seen = {colour for _, colour in image.convert("RGB").getcolors()}
    for name in style.STRATEGIES:
        wanted = np.array(to_rgb(style.COLOURS[name])) * 255
        assert min(np.abs(np.array(colour) - wanted).max() for colour in seen) <= 8, name


@pytest.mark.parametrize(("seeds", "facts"), [((0, 1, 2), False), ((0,), True)])
def test_nothing_is_clipped_or_too_small_and_each_figure_says_where_it_is_from(run, seeds, facts):
    run = replace(run, config=replace(run.config, seeds=seeds))
    maps, distances = ({"en-en": MAPS["none"], "x-x": 0.5, **MAPS}, dict.fromkeys(style.STRATEGIES, 2000.0) | DISTANCES)
    run = write(run.on_facts() if facts else run, maps, distances, seeds)
    for name in PLAIN:
        figure = gallery.ALL[name][1](run)
        with style.house():
            figure.draw_without_rendering()
        assert all(text.get_fontsize() >= 8 for text in figure.findobj(Text) if text.get_text()), name
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height, name
        assert (style.WARNING in texts(figure)) == facts, name
        assert f"Run {run.name} · encoder static · cells {DIGEST}" in texts(figure), name
        assert ("· 1 seed" in texts(figure)) == (len(seeds) == 1), name


def test_on_dark_pages_text_is_light_and_the_numbers_of_heat_maps_stay_as_they_are(run):
    write(run)
    figure = figures.language_heat_maps(run)
    inside = [text for axes in figure.axes for text in axes.texts]
    before = [text.get_color() for text in inside]
    style.save(figure, run.folder / "dark", {})
    paper = brightness(figure.get_facecolor())
    outside = [text for text in figure.findobj(Text) if text.get_text() and text not in inside]
    assert paper < 0.15 and len(outside) > 20
    assert all(brightness(text.get_color()) > 0.5 for text in outside)
    assert before and [text.get_color() for text in inside] == before


def brightness(colour) -> float:
    return float(np.mean(to_rgb(colour)))


def test_a_run_scored_on_the_facts_corpus_by_choice_is_marked_too():
    assert style.on_facts(config.load("smoke"))
    assert not style.on_facts(config.load("quick"))


def test_the_papers_numbers_stand_beside_ours_and_come_from_its_file(run):
    write(run)
    shown = texts(figures.map_by_setting(run))
    published = pd.read_csv(paths.PUBLISHED / "results.csv")
    means = published[(published["metric"] == "map") & (published["language"] == "mean")]
    means = means.loc[means["table"].between(3, 6), "value"]
    assert len(means) == 36
    for value in means:
        assert measures.number(value) in shown
    assert {"paper, XLM-R: hybrid", "paper, LaBSE: x-y", "no fine-tuning", ".530"} <= set(shown.split("\n"))


def test_the_small_print_says_over_how_many_passages_the_rank_distance_is_taken(run):
    shown = " ".join(texts(figures.rank_distances(write(run))).split())
    assert "On XQuAD-R the measure covers 3 passages a question. On MLQA-R the measure covers 2 to 3" in shown


def test_the_top_10_is_shown_for_the_strategies_of_the_paper(run):
    write(run, {"x-x": 0.5, **MAPS}, {"x-x": 500.0, **DISTANCES})
    titles = {axes.get_title(loc="left") for axes in figures.top10_languages(run).axes} - {""}
    assert titles == {"no fine-tuning: 60% own", "x-x-mono: 40% own", "x-y: 40% own", "hybrid: 40% own"}


def test_without_training_there_are_no_figures_of_training(run):
    untrained = replace(run, config=replace(run.config, strategies=("none",)))
    write(untrained, {"none": 0.3})
    assert gallery.available(untrained) == ["map_by_setting", "rank_distance", "top10", "data"]
    assert titled(untrained) == "mAP in each setting, less that of no fine-tuning"
    assert "no fine-tuning: 60% own" in texts(figures.top10_languages(untrained))


def light(figure, path: Path, origin: dict) -> list[Path]:
    """In place of `style.save`: a small picture with its title, since how it looks is not asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture := path.with_name(f"{path.name}.png"), dpi=20, metadata={"Title": style.title(figure)})
    return [picture]


def test_the_gallery_shows_each_figure_with_what_was_written_of_it_and_how_to_make_it(run, monkeypatch):
    monkeypatch.setattr(style, "save", light)
    write(run)
    text = gallery.page(run, {"top10": "Read it so."})
    last = [name for name in gallery.available(run) if name in gallery.APPENDIX]
    order = [name for name in gallery.available(run) if name not in last] + last
    assert re.findall(r'src="(.*?)"', text) == [f"{name}.png" for name in order]
    assert re.findall(r'srcset="(.*?)"', text) == [f"{name}-dark.png" for name in order]
    assert set(gallery.available(run)) == PLAIN
    assert f"\n\n{titled(run)}.\n" in text
    assert f"**{titled(run, 'top10')}.** Read it so.\n" in text
    assert text.count("`./run_all.sh --profile quick --set encoder=static --publish`") == 1
    origin = f"cells {DIGEST} · 1 seed · trained → scored: MLQA-R → XQuAD-R; XQuAD-R → MLQA-R"
    assert text.count(origin) == 1
    assert text.index("# Appendix") < text.index('src="loss.png"')
    assert style.WARNING not in text
    monkeypatch.setattr(gallery, "ALL", {"loss": gallery.ALL["loss"]})
    assert style.WARNING in gallery.page(write(run.on_facts()), {})


def test_a_run_that_scored_held_out_parts_alone_shows_them():
    table = pd.DataFrame({"train": ["none", "my.jsonl"], "dataset": ["my.jsonl-heldout"] * 2})
    assert selection.tasks(table) == [("my.jsonl", "my.jsonl-heldout")]
    other = table.assign(dataset=["xquad-r", "xquad-r"])
    assert selection.tasks(pd.concat([table, other])) == [("my.jsonl", "xquad-r")]
