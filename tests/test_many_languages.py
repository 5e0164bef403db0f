"""Beyond 20 languages figures show those at both ends: what is drawn does not grow with the number of languages."""

from itertools import product

import pandas as pd
import pytest
import test_figures as small
from test_figures import run  # noqa: F401 - a fixture

from lib.data import catalog as data
from lib.data import sets as parallel
from lib.evidence import tables
from lib.figures import gallery, panels

DRAWN = {
    "data": "number of passages",
    "batches": "number of pairs",
    "languages": "mAP of hybrid",
    "rank_distance": "rank distance",
    "top10": "own share",
    "hurt": "mean rank",
}


def of(count: int) -> list[str]:
    return ["en", *(f"q{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(count - 1))]


def some(name: str, candidates: str = "sentence") -> parallel.ParallelSet:
    rows = [{"id": f"{n}", "q": dict.fromkeys(small.LANGUAGES, "q"), "p": dict.fromkeys(small.LANGUAGES, "p")}
            for n in range(2)]  # fmt: skip
    return parallel.from_rows(name, rows)


def write(run, count, monkeypatch):  # noqa: F811
    """The tables of a run in so many languages, each of its own value in every measure."""
    languages = of(count)
    monkeypatch.setattr(small, "LANGUAGES", languages)
    monkeypatch.setattr(small, "BATCHES", {name: [" ".join(f"{x}>{x}:{n + 1}" for n, x in enumerate(languages))]
                                           for name in ("x-x-mono", "hybrid")})  # fmt: skip
    monkeypatch.setattr(data, "evaluation_set", some)
    monkeypatch.setattr(data, "outline", some)
    small.write(run, {name: small.MAPS[name] for name in ("none", "x-x-mono", "hybrid")})
    for file in ("metrics_by_language.csv.bz2", "top10_languages.csv.bz2"):
        table = tables.read(run, file)
        value = "value" if "value" in table else "share"
        table[value] *= 1 + 0.1 * table["query_language"].map(languages.index) / count
        tables.save(run, file, table)
    cells = [["static", "mlqa-r", name, small.ALPHA[name], 0, "xquad-r"] for name in ("x-x-mono", "hybrid")]
    hurt = [[*cell, *pair, 5 + languages.index(pair[0])] for cell in cells for pair in product(languages, repeat=2)]
    columns = [*tables.SCORED, "query_language", "passage_language", "rank"]
    tables.save(run, "who_is_hurt.csv.bz2", pd.DataFrame(hurt, columns=columns))


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_of_many_languages_is_as_large_as_one_of_twenty_one(name, run, monkeypatch):  # noqa: F811
    drawn = {}
    for count in (panels.MOST, panels.MOST + 1, 2 * panels.MOST):
        write(run, count, monkeypatch)
        figure = gallery.draw(run, name)
        said = f"Of {count} languages, the 10 with the lowest and the 10 with the highest {DRAWN[name]}."
        assert (said in " ".join(small.texts(figure).split())) is (count > panels.MOST)
        drawn[count] = len(figure.findobj()), figure.get_size_inches().tolist()
    assert drawn[panels.MOST + 1] == drawn[2 * panels.MOST]
    assert drawn[2 * panels.MOST][0] <= 1.1 * drawn[panels.MOST][0]


def test_the_languages_shown_are_those_at_both_ends():
    values = pd.Series(range(40), of(40), dtype=float)
    assert panels.ends(values) == [*of(40)[:10], *of(40)[30:]]
    assert panels.ends(values[:20]) == sorted(values[:20].index, key=lambda x: (x != "en", x))
    assert panels.ends_note(20, "x") == ""
