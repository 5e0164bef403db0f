"""Damage: whatever is stored is noticed when it is cut, changed, emptied, gone or another's, and made again."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import synthetic

from lib import __main__ as command
from lib.base import config, paths, workers
from lib.base import store as artifacts
from lib.base.config import Run
from lib.base.errors import UserError, told
from lib.data import download
from lib.encoders import load as encoders
from lib.evidence import judge as evidence
from lib.evidence import tables
from lib.evidence.paper import leaks
from lib.figures import drawn, gallery
from lib.runs import cells, records
from lib.runs import plan as grid
from lib.runs.plan import Cell
from lib.show import notebooks as suite
from lib.show import publish
from lib.show.reporting import report
from lib.training import checkpoints
from lib.training import fit as training

# --- what can happen to a file; ``twin`` is the same file of another artifact ---


def cut(path: Path, twin: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, twin: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)


def empty(path: Path, twin: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path, twin: Path) -> None:
    path.unlink()


def exchange(path: Path, twin: Path) -> None:
    assert twin.read_bytes() != path.read_bytes()
    shutil.copyfile(twin, path)


DAMAGES = (cut, flip, empty, remove, exchange)

# --- two finished runs, equal but for the encoder; each test gets a copy of all that they stored ---

NAMES = ("tiny", "twin")
FIGURES = ("loss",)
SHADES = (".svg", ".png", "-dark.svg", "-dark.png")
NOTEBOOKS = ("01_one", "02_two")


@dataclass(frozen=True)
class Made:
    """A finished run, and its twin."""

    run: Run
    twin: Run

    def cell(self, strategy: str, of_twin: bool = False) -> Cell:
        run = self.twin if of_twin else self.run
        return next(cell for cell in grid.plan(run.config) if cell.strategy == strategy)


def builder(words: list[str], dimension: int) -> Callable[[Path], None]:
    return lambda folder: synthetic.encoder(words, dimension).save(str(folder), create_model_card=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Data, encoders, notebooks, and the folders of two runs that were made once."""
    folder = tmp_path_factory.mktemp("world")
    train = [row | {"split": "train"} for row in synthetic.rows(24)]
    test = [row | {"id": f"t{row['id']}", "split": "test"} for row in synthetic.rows(20)]
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [text for row in train for side in "qp" for text in row[side].values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoders.ENCODERS, "tiny", encoders.Encoder("tiny", "1", build=builder(words, 8)))
        patch.setitem(encoders.ENCODERS, "twin", encoders.Encoder("twin", "1", build=builder(words[::-1], 12)))
        patch.setattr(gallery, "ALL", {name: gallery.ALL[name] for name in FIGURES})
        patch.setattr(workers, "COUNT", 1)  # another process would not know these encoders
        patch.setattr(paths, "NOTEBOOKS", folder / "notebooks")
        patch.setenv("HYBRID_RESULTS", str(folder / "results"))
        patch.setenv("HYBRID_STORE", str(folder / "store"))
        settings = ["steps=4", "batch_size=8", "warmup_steps=1", "strategies=[none,hybrid]"]
        settings += [f"train={folder / 'train.jsonl'}", f"eval={folder / 'test.jsonl'}"]
        made = Made(*(config.load("smoke", [f"encoder={name}", *settings]) for name in NAMES))
        for run in (made.run, made.twin):
            evidence.judge(run)
            gallery.save_all(run)
        write_notebooks()
        for notebook in suite.notebooks():
            execute(made.run, notebook)
        for run in (made.run, made.twin):
            report.write(run)
        yield folder, made


def write_notebooks() -> None:
    paths.NOTEBOOKS.mkdir()
    for name in NOTEBOOKS:
        code = [
            nbformat.v4.new_code_cell('profile = ""\noverrides = []'),
            nbformat.v4.new_code_cell(f'print("{name}")'),
        ]
        code[0].metadata["tags"] = ["parameters"]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), paths.NOTEBOOKS / f"{name}.ipynb")


@pytest.fixture
def made(world, own_folders):
    folder, finished = world
    for name in ("results", "store"):
        shutil.copytree(folder / name, own_folders / name)
    return finished


# --- every kind of stored file: where it is, whether it is taken for whole, and what makes it again ---


@dataclass(frozen=True)
class Kind:
    """Files in a folder of the run (``place``, with True: of its twin), and what the project does about them."""

    files: tuple[str, ...]
    place: Callable[[Made, bool], Path]
    whole: Callable[[Made], bool]
    again: Callable[[Made], object]


def encoder_inputs(name: str) -> dict:
    return {"encoder": name, "identity": encoders.identity(name)}


def model_inputs(made: Made, of_twin: bool = False) -> dict:
    run = made.twin if of_twin else made.run
    return cells._recipe(run, made.cell("hybrid", of_twin))[0].inputs()


def in_results(made: Made, of_twin: bool) -> Path:
    return (made.twin if of_twin else made.run).folder


def encoder_place(made: Made, of_twin: bool) -> Path:
    return artifacts.place("encoders", encoder_inputs(NAMES[of_twin]))


def model_place(made: Made, of_twin: bool) -> Path:
    return artifacts.place("models", model_inputs(made, of_twin))


def cell_files(strategy: str, of_twin: bool = False) -> list[str]:
    label = {"none": "none", "hybrid": "train_hybrid-0.5_seed0"}[strategy]
    return [f"cells/{NAMES[of_twin]}_{label}{suffix}" for suffix in cells.SUFFIXES]


def cells_whole(made: Made) -> bool:
    return all(cells.record(made.run, cell) is not None for cell in grid.plan(made.run.config))


def name_stands_for(made: Made) -> list[str] | None:
    """What the run's own file says, without the provenance, which says it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "WRITTEN", records.WRITTEN[:1])
        return records.remembered(made.run.name)


WEIGHTS = ("model.safetensors", "tokenizer.json", "modules.json", "config_sentence_transformers.json", "encoder.json")
KINDS = {
    "encoder": Kind(
        (*WEIGHTS, "manifest.json"),
        encoder_place,
        lambda made: artifacts.intact(encoder_place(made, False), encoder_inputs("tiny")),
        lambda made: encoders.fetched("tiny"),
    ),
    "model": Kind(
        (*(f"model/{name}" for name in (*WEIGHTS, "README.md")), "training.json", "manifest.json"),
        model_place,
        lambda made: artifacts.intact(model_place(made, False), model_inputs(made)),
        lambda made: cells.train(made.run, made.cell("hybrid")),
    ),
    "cell": Kind(
        (*cell_files("none"), *cell_files("hybrid")),
        in_results,
        cells_whole,
        lambda made: evidence.evaluate(made.run),
    ),
    "table": Kind(
        (*tables.TABLES, tables.PROVENANCE),
        in_results,
        lambda made: tables.current(made.run),
        lambda made: evidence.evaluate(made.run),
    ),
    "name": Kind(
        (records.WRITTEN[0],),
        in_results,
        lambda made: name_stands_for(made) == list(made.run.overrides),
        lambda made: records.remember(made.run),
    ),
    "evidence": Kind(
        (*evidence.FILES, evidence.SEAL),
        in_results,
        lambda made: evidence.current(made.run),
        lambda made: evidence.judge(made.run),
    ),
    "figure": Kind(
        (*(f"figures/{name}{end}" for name in FIGURES for end in SHADES), drawn.SEAL),
        in_results,
        lambda made: drawn.current(made.run),
        lambda made: gallery.save_all(made.run),
    ),
    "report": Kind(
        (report.PAGE, report.SEAL),
        in_results,
        lambda made: report.current(made.run),
        lambda made: report.write(made.run),
    ),
    "notebook": Kind(
        ("notebooks/01_one.ipynb", "notebooks/01_one.html", "notebooks/.01_one.done.json"),
        in_results,
        lambda made: not suite.not_done(made.run, suite.notebooks(only="01")),
        lambda made: execute(made.run, suite.notebooks(only="01")[0]),
    ),
}
EVERY = [(kind, name) for kind, those in KINDS.items() for name in those.files]


def execute(run: Run, notebook: Path) -> None:
    with suite.kernels(run, [notebook]) as ready:
        suite.execute(run, notebook, next(ready))


def other(made: Made, kind: str, name: str) -> Path:
    """The same file of the twin; of a notebook, which only one run has, that of the second notebook."""
    if kind == "notebook":
        return made.run.folder / name.replace("01_one", "02_two")
    return KINDS[kind].place(made, True) / name.replace("tiny", "twin")


def same(kind: str, name: str, now: bytes, before: bytes) -> bool:
    """Equal bytes; of a cell's record all but how long it took and where."""
    if kind == "cell" and name.endswith(cells.RECORD):
        volatile = ("made", "seal")
        now, before = (json.loads(gzip.decompress(content)) for content in (now, before))
        return {k: v for k, v in now.items() if k not in volatile} == {
            k: v for k, v in before.items() if k not in volatile
        }
    return now == before


def test_the_table_names_every_file_that_a_run_leaves(made):
    """A new kind of artifact has to be entered above, or this fails."""
    known = {KINDS[kind].place(made, False) / name for kind, name in EVERY}
    known |= {other(made, kind, name) for kind, name in EVERY}
    roots = [paths.store(), paths.results()]
    left = {p for root in roots for p in root.rglob("*") if p.is_file() and p.suffix != ".lock"} - known
    assert left == set()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_any_stored_file_is_noticed(kind, made):
    assert KINDS[kind].whole(made)
    for name in KINDS[kind].files:
        path, twin = KINDS[kind].place(made, False) / name, other(made, kind, name)
        before = path.read_bytes()
        alike = before == twin.read_bytes()  # a file that the twin has too is no damage
        for damage in DAMAGES[: len(DAMAGES) - alike]:
            damage(path, twin)
            assert not KINDS[kind].whole(made), (name, damage.__name__)
            path.write_bytes(before)
    assert KINDS[kind].whole(made)


@pytest.mark.parametrize(
    ("kind", "name", "damage"),
    [
        ("encoder", "model.safetensors", exchange),
        ("model", "model/model.safetensors", flip),
        ("cell", cell_files("none")[0], exchange),
        ("cell", cell_files("hybrid")[1], flip),
        ("table", "metrics.csv", flip),
        ("table", tables.PROVENANCE, remove),
        ("name", records.WRITTEN[0], flip),
        ("evidence", "effects.csv", empty),
        ("figure", "figures/loss.png", cut),
        ("report", report.PAGE, flip),
    ],
)
def test_what_is_damaged_is_made_again_as_it_was(kind, name, damage, made):
    path = KINDS[kind].place(made, False) / name
    before = path.read_bytes()
    damage(path, other(made, kind, name))
    KINDS[kind].again(made)
    assert KINDS[kind].whole(made)
    assert same(kind, name, path.read_bytes(), before)


def test_a_sealed_file_of_another_kind_is_noticed_too(made):
    run = made.run.folder
    sealed = [run / tables.PROVENANCE, run / evidence.SEAL, run / cell_files("none")[1], run / drawn.SEAL]
    sealed.append(run / report.SEAL)
    sealed += [run / "notebooks/.01_one.done.json", encoder_place(made, False) / "manifest.json"]
    for path in sealed:
        before = path.read_bytes()
        for source in set(sealed) - {path}:
            shutil.copyfile(source, path)
            assert not all(kind.whole(made) for kind in KINDS.values()), (path.name, source.name)
        path.write_bytes(before)
    assert all(kind.whole(made) for kind in KINDS.values())


def test_a_whole_folder_of_another_is_noticed(made):
    for place, kind in ((encoder_place, "encoder"), (model_place, "model")):
        shutil.rmtree(place(made, False))
        shutil.copytree(place(made, True), place(made, False))
        assert not KINDS[kind].whole(made)


def test_the_times_of_files_say_nothing(made):
    """A clock that was set back, or a copy that kept no times, makes nothing old; and nothing changed passes as old."""
    stored = [p for root in (paths.store(), paths.results()) for p in root.rglob("*") if p.is_file()]
    for year in (1971, 2100):
        moment = (year - 1970) * 31_557_600
        for path in stored:
            os.utime(path, (moment, moment))
        assert all(kind.whole(made) for kind in KINDS.values())
    for kind, name in (("encoder", "model.safetensors"), ("model", "training.json"), ("cell", cell_files("none")[0])):
        path = KINDS[kind].place(made, False) / name
        flip(path, path)  # in place, of equal size
        os.utime(path, (moment, moment))
        assert not KINDS[kind].whole(made)


# --- the command line sees to it, also where every notebook is done ---


def arguments(run: Run) -> list[str]:
    return ["--profile", run.profile, *(part for text in run.overrides for part in ("--set", text))]


def test_a_run_that_is_done_mends_its_tables_and_figures(made, capsys):
    run = made.run
    assert command.main(arguments(run)) == 0
    assert "nothing had changed" in capsys.readouterr().out
    files = sorted(p for p in run.folder.rglob("*") if p.is_file())
    before = {path: path.read_bytes() for path in files}
    flip(run.folder / "metrics.csv", run.folder)
    remove(run.folder / "overlap.csv", run.folder)
    empty(run.folder / "figures" / "loss.svg", run.folder)
    assert command.main(arguments(run)) == 0
    assert "tables: some are missing, damaged or out of date: writing them again" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in sorted(p for p in run.folder.rglob("*") if p.is_file())} == before


# --- checkpoints of a training that was broken off ---


@pytest.fixture
def broken_off(made, monkeypatch):
    """A function that trains for 4 steps and gives the fingerprint; a checkpoint of step 2 is left of each training."""
    monkeypatch.setattr(checkpoints, "STEPS", 2)

    def go_on(of_twin: bool = False) -> str:
        run = made.twin if of_twin else made.run
        recipe, questions = cells._recipe(run, made.cell("hybrid", of_twin))
        model = encoders.load(encoders.fetched(recipe.encoder))
        training.fit(model, questions, recipe.strategy, 0, run.config, folders[of_twin])
        shutil.rmtree(folders[of_twin] / "checkpoint-4")
        return synthetic.fingerprint(model)

    folders = [paths.store() / "checkpoints" / name for name in NAMES]
    unbroken = go_on()
    assert go_on(True) != unbroken
    return go_on, unbroken, *(folder / "checkpoint-2" for folder in folders)


def test_a_damaged_checkpoint_is_not_gone_on_from(broken_off):
    go_on, unbroken, path, twin = broken_off
    files = sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file())
    assert {"optimizer.pt", "trainer_state.json", artifacts.MANIFEST} <= {p.name for p in files}
    kept = path.with_name("kept")
    shutil.copytree(path, kept)
    for name in files:
        for damage in DAMAGES:
            if damage is exchange and (path / name).read_bytes() == (twin / name).read_bytes():
                continue
            damage(path / name, twin / name)
            assert checkpoints.last(path.parent, 4) is None, (name, damage.__name__)
            assert not path.exists()
            shutil.copytree(kept, path)
    assert checkpoints.last(path.parent, 4) == str(path)


def test_after_damage_or_exchange_of_a_checkpoint_the_weights_are_those_of_an_unbroken_training(broken_off, capfd):
    go_on, unbroken, path, twin = broken_off
    assert go_on() == unbroken  # from the checkpoint
    flip(path / "model.safetensors", twin)
    assert go_on() == unbroken
    shutil.rmtree(path)
    shutil.copytree(twin, path)  # whole, but of another training
    assert go_on() == unbroken


def test_leaks_are_looked_for_again_only_where_the_data_or_the_rules_are_others(made, monkeypatch):
    before = (made.run.folder / "overlap.csv").read_bytes()
    monkeypatch.setattr(leaks, "table", lambda run: pytest.fail("looked for again"))
    (made.run.folder / "effects.csv").unlink()
    evidence.judge(made.run)
    assert evidence.current(made.run) and (made.run.folder / "overlap.csv").read_bytes() == before
    monkeypatch.setattr(leaks, "inputs", lambda run: {"pairs": [], "code": ["of tomorrow"]})
    with pytest.raises(pytest.fail.Exception, match="looked for again"):
        evidence.judge(made.run)


def test_a_corrected_number_of_the_paper_makes_the_evidence_be_written_again(made, own_folders, monkeypatch):
    evidence.judge(made.run)
    shutil.copytree(paths.PUBLISHED, own_folders / "paper")
    monkeypatch.setattr(paths, "PUBLISHED", own_folders / "paper")
    assert evidence.current(made.run)
    file = own_folders / "paper" / "results.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("0.", "0.9", 1), encoding="utf-8")
    assert not evidence.current(made.run)


# --- what is published, and what is downloaded ---


def test_published_copies_that_are_damaged_are_not_taken_and_are_written_again(made, own_folders, monkeypatch):
    run = made.run
    monkeypatch.setattr(paths, "FIGURES", own_folders / "figures")
    copies = publish.publish(run)
    whole = {path: path.read_bytes() for path in copies}
    published = run.folder / "published"
    for strategy in ("none", "hybrid"):
        cell = made.cell(strategy)
        for name, twin in zip(cell_files(strategy), cell_files(strategy, of_twin=True), strict=True):
            for damage in DAMAGES:
                damage(published / name, made.twin.folder / twin)
                assert cells.published(run, cell) is None
                (run.folder / name).rename(own_folders / "aside")
                assert cells.adopt_published(run) == []
                (own_folders / "aside").rename(run.folder / name)
                (published / name).write_bytes(whole[published / name])
            assert cells.published(run, cell)
    for number, path in enumerate(copies):
        DAMAGES[number % 4](path, path)
    assert {path: path.read_bytes() for path in publish.publish(run)} == whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_downloaded_file_that_is_damaged_is_fetched_again_and_never_used(damage, own_folders, monkeypatch):
    origin = own_folders / "origin"
    origin.mkdir()
    for name in ("en.json", "de.json"):
        (origin / name).write_text(f'{{"data": "{name}"}}' * 100)
    listed = {
        f"toy/{path.name}": download.RemoteFile(
            f"toy/{path.name}",
            path.stat().st_size,
            artifacts.file_digest(path),
            f"http://origin.invalid/{path.name}",
            "",
        )
        for path in origin.iterdir()
    }
    monkeypatch.setattr(download, "registry", lambda: listed)
    monkeypatch.setattr(paths, "BESIDE", own_folders / "nothing")
    monkeypatch.delenv("HYBRID_DATA_MIRROR", raising=False)
    downloads = paths.store() / "downloads" / "toy"
    shutil.copytree(origin, downloads)
    assert download.fetch("toy")["en.json"] == downloads / "en.json"  # without the network
    damage(downloads / "en.json", downloads / "de.json")
    monkeypatch.setattr(download, "_reachable", lambda url: True)
    with pytest.raises(UserError, match=r"toy/en\.json: the download from http://origin\.invalid/en\.json failed"):
        download.fetch("toy")

    import pooch

    def serve(url: str, target: str, *arguments: object) -> None:
        shutil.copyfile(origin / Path(url).name, target)

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *arguments, **options: serve)
    assert download.fetch("toy")["en.json"].read_bytes() == (origin / "en.json").read_bytes()


def test_a_cell_that_another_run_has_published_is_adopted_and_not_published_twice(made, own_folders, monkeypatch):
    run = made.run
    monkeypatch.setattr(paths, "FIGURES", own_folders / "figures")
    copied = [path for path in publish.publish(run) if path.parent.name == "cells"]
    assert len(copied) == 2 * len(grid.plan(run.config))
    another = run.folder.parent / "another" / "published"
    another.mkdir(parents=True)
    copied[0].parent.rename(another / "cells")
    shutil.rmtree(run.folder / "cells")
    assert cells.adopt_published(run) == grid.plan(run.config)
    assert not [path for path in publish.publish(run) if path.parent.name == "cells"]

    ranks, record = (
        another / name for name in cell_files("none")
    )  # where the other one differs, as of another machine
    pd.read_parquet(ranks).iloc[::-1].to_parquet(ranks)
    artifacts.write_sealed(record, artifacts.read_sealed(record) | {"sha256": artifacts.file_digest(ranks)})
    copied = [path for path in publish.publish(run) if path.parent.name == "cells"]
    assert copied == [run.folder / "published" / name for name in cell_files("none")]


def test_several_files_that_cannot_be_copied_are_one_line(tmp_path, capsys):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "gone").symlink_to(tmp_path / "nowhere")
    assert told(lambda: shutil.copytree(tmp_path / "here", tmp_path / "there") and None) == 1
    said = capsys.readouterr().err
    assert "No such file or directory" in said and said.count("\n") == 1
