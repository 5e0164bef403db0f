"""Would other choices change it? Hybrid against its parents under each other choice of settings: a specification curve.

Lines of a profile's ``sweep`` change how models are trained (the similarity scale, the learning rate), or cut a
training set, so that its size or its languages are not what sets it apart. All that were made are shown, beside the
trainings of the profile itself, and none was chosen by what it scores.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

import pandas as pd

from ...base.config import Run
from ...data import catalog as data
from ...runs.plan import COMPARED, NONE
from .. import effects, shift, stats
from ..effects import Key, Scores, Values, common_seeds
from ..shift import Trained
from . import parts
from .synergy import PARENTS

TEST, NEARER, FARTHER = shift.PRIMARY["test"], shift.PRIMARY["nearer"], shift.FARTHEST[0]
PROFILE = "profile"  # the choice that was published first
CHANGE = "change of D"
CUT, CHANGED_BY_BATCH = "cut", "cross=batch"  # of which x-x-mono, which draws no pair of languages, knows nothing
COLUMNS = ["encoder", "test", "setting", "choice", "nearer", "farther", "strategy", "baseline", "quantity"]
COLUMNS += ["value", "low", "high", "clusters", "seeds", "verdict"]
Comparison = tuple[str, str, str]  # quantity, strategy and baseline
Spreads = Mapping[Comparison, stats.Spread]


def table(run: Run, found: Mapping[Key, Scores]) -> pd.DataFrame:
    """Hybrid minus x-x-mono and minus x-y under each choice, on MLQA-R, in multilingual and in monolingual mAP.

    ``quantity``: the difference after training on the nearer and on the farther set, and D, the difference of shift
    costs. The first two also of each of the three against no fine-tuning, which tells whether the choice is any good.
    Last the change of D: under the choice less as published with the same seeds, which are taken to be independent.

    The profile with all its seeds has the interval of `shift.table`. A choice was made with one seed or two, too few to
    tell how seeds vary: that is taken to be alike under all choices, and estimated from the profile and them together
    (`spreads`). ``verdict`` as in `shift.table`, its correction for the two baselines of each choice alone.
    """
    rows = []
    for (encoder, setting), choices in _swept(run).items():
        profile = {train: effects.by_label(found, train, encoder, TEST, setting) for train in (NEARER, FARTHER)}
        untrained = found.get(Key(encoder, NONE, NONE, TEST, setting, "map"))
        every = with_profile(profile, choices)
        made = [levels for choice, levels in every.items() if choice in (PROFILE, *choices)]
        alike = spreads(made, effects.hybrid(run), untrained)
        for choice, levels in every.items():
            same = {"encoder": encoder, "test": TEST, "setting": setting, "choice": choice}
            of_seeds = {} if choice == PROFILE else alike
            rows += [same | row for row in rows_of(levels, effects.hybrid(run), untrained, of_seeds)]
            if choice in choices:
                rows += [same | row for row in changes_of(levels, profile, effects.hybrid(run), alike)]
    return pd.DataFrame(rows, columns=COLUMNS)


def with_profile(profile: Trained, choices: Mapping[str, Trained]) -> dict[str, Trained]:
    """Each choice with what it leaves as it is, after the profile itself, with all seeds and with those of a choice.

    A set that is cut stands in the place of the whole one, the other training set stays. Nothing else is taken from
    the profile, but x-x-mono where the drawing of pairs of languages changes: it draws none.
    """
    found = {PROFILE: profile}
    for seeds in sorted({tuple(sorted(_seeds(levels))) for levels in choices.values()}):
        if set(seeds) < _seeds(profile):
            found[f"{PROFILE}, seed{'s' * (len(seeds) > 1)} {' '.join(map(str, seeds))}"] = _only(profile, seeds)
    for choice, levels in choices.items():
        cut = next((name for name in levels if data.base(name) != name), None)
        if cut and choice == f"{CUT}: {cut}":
            levels = {train: part for train, part in profile.items() if train != data.base(cut)} | levels
        elif choice == CHANGED_BY_BATCH:
            levels = {
                train: part | {n: s for n, s in profile[train].items() if n == PARENTS[0]}
                for train, part in levels.items()
            }
        found[choice] = levels
    return found


def spreads(every: Iterable[Trained], main: str, untrained: Scores | None = None) -> Spreads:
    """How each difference varies from seed to seed, over all choices that have several seeds."""
    return stats.pooled_by(one for levels in every for one in differences(levels, main, untrained).items())


def rows_of(
    levels: Trained, main: str, untrained: Scores | None = None, of_seeds: Spreads | None = None
) -> Iterator[dict]:
    """Rows of hybrid (``main``) against each parent that was trained alike, and of all three against no fine-tuning.

    Args:
        levels: the scores of a choice.
        untrained: those of no fine-tuning.
        of_seeds: how each difference varies from seed to seed; without it that is estimated from the seeds here.
    """
    yield from _rows(differences(levels, main, untrained), _trains(levels), main, of_seeds)


def changes_of(levels: Trained, profile: Trained, main: str, of_seeds: Spreads) -> Iterator[dict]:
    """Rows of what a choice changes of D: D under it less D of the profile, both of the seeds that both have.

    Args:
        of_seeds: as for `rows_of`; the seeds of the two are taken to be independent, so that a change varies twice as
            much as D.
    """
    every = [of for side in (levels, profile) for of in side.values()]
    shared = common_seeds(of[label] for of in every for label in (main, *PARENTS) if label in of)
    now, before = (differences(_only(side, shared), main) for side in (levels, profile))
    of_d = [name for name in now if name[0] == shift.DIFFERENCE and name in before]
    twice = {(CHANGE, *name[1:]): stats.Spread(2 * one.variance, one.freedom) for name, one in of_seeds.items()
             if name[0] == shift.DIFFERENCE}  # fmt: skip
    yield from _rows({(CHANGE, *name[1:]): now[name] - before[name] for name in of_d}, _trains(levels), main, twice)


def _rows(found: Mapping[Comparison, stats.Estimate], trains: dict[str, str], main: str, of_seeds: Spreads | None
          ) -> Iterator[dict]:  # fmt: skip
    sure = {name: one.interval(spread=(of_seeds or {}).get(name)) for name, one in found.items()}
    words = {name: stats.compared(one, effects.MARGIN) for name, one in sure.items()}
    for quantity in dict.fromkeys(quantity for quantity, *_ in found):
        family = {name: sure[name] for name in product([quantity], [main], PARENTS) if name in sure}
        said = shift.words({name[2]: one for name, one in family.items()}, quantity in (shift.DIFFERENCE, CHANGE))
        words |= {name: said[name[2]] for name in family}
    for (quantity, strategy, baseline), one in sure.items():
        name = quantity, strategy, baseline
        row = {"nearer": trains[shift.NEARER], "farther": trains[shift.FARTHER], "strategy": strategy}
        row |= {"baseline": baseline, "quantity": quantity, "verdict": words[name]}
        yield row | effects.columns(found[name], one)


def differences(levels: Trained, main: str, untrained: Scores | None = None) -> dict[Comparison, stats.Estimate]:
    """Those of `rows_of`, as estimates; none of a whole set beside a cut one."""
    is_cut = any(data.base(name) != name for name in levels)
    trains = _trains(levels)
    both = {shift.DIFFERENCE: tuple(trains.values())} if all(trains.values()) else {}
    alone = {side: (name,) for side, name in trains.items() if name and not (is_cut and name in (NEARER, FARTHER))}
    found = {}
    for quantity, names in (alone | both).items():
        own = [(label, NONE) for label in (main, *PARENTS)] if len(names) == 1 else []
        for label, baseline in [*own, *((main, parent) for parent in PARENTS)]:
            both_of = [levels[name] | ({NONE: untrained} if untrained else {}) for name in names]
            scores = [of.get(one) for of in both_of for one in (label, baseline)]
            if any(part is None for part in scores) or not (shared := common_seeds(scores)):
                continue
            apart = [of[label].estimate(shared) - of[baseline].estimate(shared) for of in both_of]
            found[quantity, label, baseline] = apart[0] if len(apart) == 1 else apart[0] - apart[1]
    return found


def _trains(levels: Trained) -> dict[str, str]:
    """The nearer and the farther training set of a choice, whole or cut; empty where it has none."""
    sides = {shift.NEARER: NEARER, shift.FARTHER: FARTHER}
    return {side: next((name for name in levels if data.base(name) == base), "") for side, base in sides.items()}


def _seeds(levels: Trained) -> set[int]:
    return {seed for by_label in levels.values() for part in by_label.values() for seed in part.seeds}


def _only(levels: Trained, seeds: tuple[int, ...]) -> Trained:
    """What of the scores is of some seeds."""
    kept: Trained = {train: {} for train in levels}
    for train, by_label in levels.items():
        for label, part in by_label.items():
            if there := tuple(seed for seed in part.seeds if seed in seeds):
                kept[train][label] = Scores(part.at(there), part.units, there, part.articles)
    return kept


def _swept(run: Run) -> dict[tuple[str, str], dict[str, Trained]]:
    """The scores of all finished cells of the sweeps on the test, by encoder and setting, then by choice."""
    grouped: dict[tuple[str, str, str, str, str], dict[int, Values]] = {}
    for cell, setting, values in parts.on(run, TEST, COMPARED):
        cut = [f"{CUT}: {cell.train}"] if data.base(cell.train) != cell.train else []
        if data.base(cell.train) in (NEARER, FARTHER):
            choice = ", ".join([*cut, *cell.changes])
            grouped.setdefault((cell.encoder, setting, choice, cell.train, cell.label), {})[cell.seed] = values
    found: dict[tuple[str, str], dict[str, Trained]] = {place: {} for place in product(run.config.encoder, COMPARED)}
    for (encoder, setting, choice, train, label), by_seed in grouped.items():
        levels = found[encoder, setting].setdefault(choice, {})
        levels.setdefault(train, {})[label] = effects.stacked(by_seed, effects.articles(run, TEST))
    return {place: choices for place, choices in found.items() if choices}
