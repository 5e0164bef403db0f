"""The explorer in a notebook: two ranked lists side by side, by ipywidgets, and the same as HTML for other readers."""

import time
from functools import cache, partial
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import clear_output, display
from jinja2 import Template

from ...base import paths, progress
from ...base.config import Run
from ...base.errors import UserError
from ...data import catalog as data
from ...data.sets import ParallelSet
from ...evaluation import search
from ...figures import style
from ...runs import plan as grid
from ...runs.plan import Cell
from .. import texts
from ..views import RIGHT_TO_LEFT
from . import explorer, rankings
from .explorer import Answer

WIDE = widgets.Layout(width="auto")
LABELS = {"description_width": "8em"}


def show(run: Run) -> "Explorer":
    """The explorer of a run; what its first lists need is made, or encoded, with its progress shown meanwhile."""
    view = Explorer(run)
    display(view.status)
    view.answer()
    clear_output(wait=True)
    return view


class Explorer(widgets.VBox):
    """Choose a data set, a language, a question and two models, or ask a question of one's own; lists follow."""

    def __init__(self, run: Run):
        offered = {name: explorer.explorable(run, name) for name in run.config.eval}
        self.models = {name: found for name, found in offered.items() if found}
        if not self.models:
            raise UserError(f"run {run.name}: no cell is finished yet; make them: {run.command}")
        self.run, self.number, self.busy = run, 0, False
        choose = partial(widgets.Dropdown, style=LABELS, layout=WIDE)
        write = {"continuous_update": False, "style": LABELS, "layout": WIDE}
        self.dataset = choose(description="Data set", options=[(style.name(name), name) for name in self.models])
        self.language = choose(description="Query language")
        self.question = widgets.Combobox(description="Question", **write)
        self.own = widgets.Text(description="Or ask", placeholder="a question of your own, in any language", **write)
        self.left, self.right = choose(description="Left"), choose(description="Right")
        self.status, self.lists = widgets.HTML(), widgets.HTML()
        self._offer_models()
        self._offer_questions()
        controls = [self.dataset, self.language, self.question, self.own, self.left, self.right]
        for control in controls:
            control.observe(self._changed, "value")
        grid = widgets.GridBox(
            controls,
            layout=widgets.Layout(grid_template_columns="repeat(auto-fit, minmax(24rem, 1fr))", grid_gap="4px 24px"),
        )
        grid.add_class("explorer-controls")
        super().__init__([grid, self.status, self.lists])

    def answer(self) -> None:
        """Rank for what is chosen, and show it."""
        begun = time.perf_counter()
        own = self.own.value.strip()
        with progress.heard(self._say):
            sides = [(cell, self._ranked(cell, own)) for cell in (self.left.value, self.right.value)]
        chosen = self.chosen()
        language = self.language.value
        if own:
            asked = (own, None, "your question: no right answers are known")
        else:
            text = chosen.queries["text"].iloc[self._query()]
            asked = (text, language, f"question {self.number + 1}, asked in {texts.language(language)}")
        self.lists.value = page(*asked, sides, chosen.languages, len(chosen.passages))
        self._say(f"{len(chosen.passages):,} passages ranked twice in {time.perf_counter() - begun:.2f} s")

    def _ranked(self, cell: Cell, own: str) -> Answer | UserError:
        try:
            if own:
                return explorer.retriever(self.run, cell, self.dataset.value).ask(own)
            return explorer.opened(self.run, cell, self.dataset.value).answer(self._query())
        except UserError as error:
            return error

    def chosen(self) -> ParallelSet:
        """The data set that is looked at."""
        return data.evaluation_set(self.dataset.value, self.run.config.candidates)

    def _rows(self) -> np.ndarray:
        """Rows of the questions in the chosen language, -1 where there is none."""
        chosen = self.chosen()
        return chosen.query_rows[:, chosen.languages.index(self.language.value)]

    def _query(self) -> int:
        return int(self._rows()[self.number])

    def _changed(self, change: dict[str, Any]) -> None:
        if self.busy:  # the change is not the reader's
            return
        self.busy = True
        try:
            self._follow(change["owner"])
        finally:
            self.busy = False

    def _follow(self, control: widgets.Widget) -> None:
        if control is self.question:
            if control.value not in self.numbers:
                self._say("No question reads so: choose one of the list, or ask it in the field beside.")
                return
            self.number = self.numbers[control.value]
            self.own.value = control.value = ""  # a list opens in full below an empty field
        if control is self.dataset:
            self._offer_models()
        if control in (self.dataset, self.language):
            self._offer_questions()
        self.answer()

    def _offer_models(self) -> None:
        """Offer the models and the query languages of the data set."""
        found = self.models[self.dataset.value]
        ready = [cell for cell in found if rankings.find(self.run, cell, self.dataset.value)] or found
        hybrid = [cell for cell in ready if cell.strategy == "hybrid"]
        options = [(cell_label(cell), cell) for cell in found]
        _offer(self.left, options, ready[0])
        _offer(self.right, options, (hybrid or ready)[-1])
        chosen = self.chosen()
        asked = [name for name in chosen.languages if name in set(chosen.queries["language"])]
        _offer(self.language, [(f"{texts.language(x)} ({x})", x) for x in asked], "en" if "en" in asked else asked[0])

    def _offer_questions(self) -> None:
        """Offer the questions that exist in the language; the same one stays, if it does."""
        rows, texts = self._rows(), self.chosen().queries["text"].to_numpy()
        there = np.flatnonzero(rows >= 0)
        self.numbers = {f"{number + 1} · {' '.join(texts[rows[number]].split())}": int(number) for number in there}
        self.number = self.number if self.number in there else int(there[0])
        self.question.options = list(self.numbers)
        self.question.placeholder = f"one of {len(there):,}: type a word, or its number"

    def _say(self, line: str) -> None:
        self.status.value = f'<span class="explorer" role="status">{escape(line)}</span>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The lists as they are now, for readers that have no widgets."""
        return {**super()._repr_mimebundle_(**options), "text/html": self.lists.value}


def page(
    question: str,
    language: str | None,
    note: str,
    sides: list[tuple[Cell, Answer | UserError]],
    languages: list[str],
    pool: int,
) -> str:
    """Both ranked lists as HTML, and where the translations of the right answer stand; all texts escaped.

    Args:
        question: as it was asked.
        language: its language; None for a question of one's own.
        note: what is known of it, in a few words.
        sides: a cell and its answer, or why there is none, left then right.
        languages: of the set.
        pool: passages in it.
    """
    known = [(cell, answer.ranks) for cell, answer in sides if isinstance(answer, Answer) and answer.ranks]
    return _template().render(
        question=question,
        language=language,
        note=note,
        sides=sides,
        known=known,
        languages=[x for x in languages if any(x in ranks for _, ranks in known)],
        pool=pool,
        first=search.TOP,
        colours=style.COLOURS,
        right_to_left=RIGHT_TO_LEFT,
    )


@cache
def _template() -> Template:
    jinja = texts.templates(texts.TEMPLATES, autoescape=True)
    jinja.filters.update(names=_names, label=cell_label, english=texts.language)
    return jinja.get_template("explorer.html.j2")


def cell_label(cell: Cell) -> str:
    """A model as people choose it: ``hybrid 0.5, use-m trained on XQuAD-R, seed 0``."""
    return ", ".join(_names(cell))


def _names(cell: Cell) -> list[str]:
    encoder = paths.called(cell.encoder)
    if cell.train == grid.NONE:
        return [style.name(grid.NONE), encoder]
    trained = f"{encoder} trained on {style.name(cell.train)}"
    return [cell.label.replace("hybrid-", "hybrid "), trained, f"seed {cell.seed}"]


def _offer(menu: widgets.Dropdown, options: list[tuple[str, Any]], otherwise: Any) -> None:
    """Give a menu its options; what was chosen stays chosen where it is still offered."""
    before = menu.value
    offered = [value for _, value in options]
    menu.options = options
    menu.value = before if before in offered else otherwise
