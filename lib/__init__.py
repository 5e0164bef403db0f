"""Hybrid-batch training of multilingual retrievers: train, measure, audit, and show the evidence.

What notebooks and other programs use stands here, each name loaded when it is first asked for (see ``docs/api.md``)::

    import lib

    run = lib.open("smoke")
    lib.evaluate(run)
    lib.main_table(run)

The packages below are one staircase, and each imports only from earlier ones: ``base``, ``data``, ``encoders``,
``training`` and ``evaluation``, ``runs``, ``evidence``, ``figures``, ``show``, ``interop``. Six files hold the method:
``training/sampling.py``, ``training/fit.py``, ``evaluation/search.py``, ``evaluation/metrics.py``,
``evaluation/bias.py`` and ``evidence/stats.py``.
"""

from importlib import import_module
from typing import Any

# Name -> where it is: a module of lib, and what it is called there.
_PUBLIC = {
    "open": ("runs.open", "open_run"),
    "banner": ("runs.open", "banner"),
    "with_texts": ("runs.open", "with_texts"),
    "replicate": ("evidence.replication", "make"),
    "train": ("evidence.judge", "train"),
    "evaluate": ("evidence.judge", "evaluate"),
    "judge": ("evidence.judge", "judge"),
    "table": ("evidence.judge", "table"),
    "main_table": ("evidence.judge", "main_table"),
    "draw": ("show.views", "draw"),
    "explore": ("show.explore.widgets", "show"),
    "audit": ("interop.language_audit", "audit"),
    "evaluation_set": ("data.catalog", "evaluation_set"),
    "training_set": ("data.catalog", "training_set"),
    "load_encoder": ("encoders.load", "load"),
    "Pairs": ("training.pairs", "Pairs"),
    "Strategy": ("training.sampling", "Strategy"),
    "LanguageMeans": ("evaluation.language_means", "LanguageMeans"),
    "UserError": ("base.errors", "UserError"),
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute '{name}'")
    module, known_as = _PUBLIC[name]
    return getattr(import_module(f".{module}", __name__), known_as)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
