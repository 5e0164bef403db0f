"""XQuAD-R and MLQA-R as tasks of MTEB (pip install mteb), for any encoder that MTEB can run::

    import mteb
    from . import mteb as mteb_tasks

    mteb.evaluate(encoder, tasks=[mteb_tasks.XQuADRMixedRetrieval()])

The data are read by `data.catalog`, checked, from the mirror or from their origin. MTEB's own XQuADRetrieval and
MLQARetrieval are other tasks: they have passages, and no pool of several languages. The main score is MTEB's
``map_at_1000``, in which a relevant passage beyond rank 1000 counts as not found; our mAP has no cutoff, so it is equal
where a corpus has at most 1,000 passages, and a little higher elsewhere. MTEB rounds its means to 5 digits, and strips
passages of outer white space, which 33 of XQuAD-R's 13,014 have.
"""

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from ..base.errors import UserError
from ..data import catalog as data
from ..data import download
from ..evaluation import metrics
from . import trec

# ISO 639-3 and ISO 15924, as MTEB writes languages.
CODES = {
    "ar": "arb-Arab", "de": "deu-Latn", "el": "ell-Grek", "en": "eng-Latn", "es": "spa-Latn", "hi": "hin-Deva",
    "ru": "rus-Cyrl", "th": "tha-Thai", "tr": "tur-Latn", "vi": "vie-Latn", "zh": "zho-Hans",
}  # fmt: skip
LANGUAGES = {
    "xquad-r": ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
    "mlqa-r": ("ar", "de", "en", "es", "hi", "vi", "zh"),
}
ABOUT = {
    "monolingual": "Questions against the sentences of their own language.",
    "cross-lingual": "Questions against the sentences of one other language; subsets are query-corpus.",
    "multilingual": (
        "Questions of each language (a subset) against one pool of the sentences of all languages, in which the "
        "answer is relevant in every language that has it: what an encoder that prefers a language gets wrong."
    ),
}
LAREQA, XQUAD, MLQA = (
    f"\n{(Path(__file__).with_name('citations') / name).read_text(encoding='utf-8')}"
    for name in ("lareqa.bib", "xquad.bib", "mlqa.bib")
)
FACTS = {
    "xquad-r": {
        "about": "XQuAD-R (LAReQA): which sentence of XQuAD's paragraphs holds the answer?",
        "license": "cc-by-sa-4.0",
        "date": ("2019-10-25", "2020-04-11"),  # from XQuAD's publication to LAReQA's
        "sample_creation": "human-translated",
        "bibtex_citation": LAREQA + XQUAD,
    },
    "mlqa-r": {
        "about": "MLQA-R (LAReQA): which sentence of MLQA's paragraphs holds the answer? A question has it in two "
        "to four languages.",
        "license": "cc-by-nc-4.0",
        "date": ("2019-10-16", "2020-04-11"),  # from MLQA's publication to LAReQA's
        "sample_creation": "multiple",  # passages found on Wikipedia, questions translated by people
        "bibtex_citation": LAREQA + MLQA,
    },
}


class ParallelRetrieval(AbsTaskRetrieval):
    """A parallel set in one of the three settings; its data come from `data.catalog`, not from the hub."""

    dataset_name: str
    setting: str

    def load_data(self, num_proc: int | None = None, **ignored: Any) -> None:
        """Fill the subsets that are to be run, with the texts, labels and ids that `interop.trec` writes."""
        if self.data_loaded:
            return
        chosen = data.evaluation_set(self.dataset_name)
        qids, docids = trec.ids(chosen)
        corpus = cache(lambda rows: _texts(docids, chosen.passages["text"], slice(*rows)))
        parts = {part.name: part for part in trec.settings(chosen)}
        self.dataset = {}
        for subset in self.hf_subsets:
            part = parts[f"{self.setting}/{subset.replace('-', '_')}"]
            relevant: dict[str, dict[str, int]] = {}
            for query, passage in part.qrels[["query", "passage"]].to_numpy():
                relevant.setdefault(qids[query], {})[docids[passage]] = 1
            self.dataset[subset] = {
                "test": {
                    "corpus": corpus(part.corpus),
                    "queries": _texts(qids, chosen.queries["text"], part.queries),
                    "relevant_docs": relevant,
                    "top_ranked": None,
                }
            }
        self.data_loaded = True


def on(name: str, setting: str) -> ParallelRetrieval:
    """A task on a set of one's own.

    Args:
        name: as `data.catalog.evaluation_set`, such as ``facts`` or the path of a parallel JSONL file.
        setting: ``monolingual``, ``cross-lingual`` or ``multilingual``.

    Raises:
        UserError: there is no such set or setting, or MTEB's code for one of its languages is not known here.
    """
    if setting not in metrics.SETTINGS:
        raise UserError(f"setting '{setting}' does not exist; choose {', '.join(metrics.SETTINGS)}")
    chosen = data.evaluation_set(name)
    if unknown := [language for language in chosen.languages if language not in CODES]:
        raise UserError(f"{name}: no MTEB code is known for {unknown[0]}; known are {', '.join(CODES)}")
    names = [part.name.split("/") for part in trec.settings(chosen)]
    subsets = [subset.replace("_", "-") for kind, subset in names if kind == setting]
    if not subsets:
        raise UserError(f"{name}: it has no {setting} setting, since it is not parallel")
    origin = {"path": name, "revision": chosen.digest}
    metadata = _metadata(
        f"{chosen.name}-{setting}", f"{chosen.name}.", chosen.languages, setting, subsets, dataset=origin
    )
    fields = {"dataset_name": name, "setting": setting, "metadata": metadata}
    return type("ParallelRetrieval", (ParallelRetrieval,), fields)()


def _texts(ids: list[str], texts: pd.Series, rows: Any) -> Dataset:
    return Dataset.from_dict({"id": np.array(ids)[rows].tolist(), "text": texts.to_numpy()[rows].tolist()})


def _metadata(
    name: str, about: str, languages: Sequence[str], setting: str, subsets: Sequence[str], **given: Any
) -> TaskMetadata:
    """What a task says of itself; a subset's languages are that of its queries, then those of its passages."""
    passages = [*languages] if setting == "multilingual" else []
    spoken = {subset: dict.fromkeys([*subset.split("-"), *passages]) for subset in subsets}
    return TaskMetadata(
        name=name,
        description=f"{about} {ABOUT[setting]}",
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs={subset: [CODES[language] for language in some] for subset, some in spoken.items()},
        main_score="map_at_1000",
        **given,
    )


def _lareqa(name: str, dataset: str, setting: str) -> TaskMetadata:
    languages = LANGUAGES[dataset]
    owner, repository, revision = download.files_of(dataset)[0].url.split("/")[3:6]
    pairs = [f"{query}-{other}" for query, other in permutations(languages, 2)]
    return _metadata(
        name,
        languages=languages,
        setting=setting,
        subsets=pairs if setting == "cross-lingual" else languages,
        dataset={"path": f"{owner}/{repository}", "revision": revision},
        reference=f"https://github.com/{owner}/{repository}",
        domains=["Encyclopaedic", "Written"],
        task_subtypes=["Question answering"],
        annotations_creators="human-annotated",
        dialect=[],
        **FACTS[dataset],
    )


class XQuADRMonolingualRetrieval(ParallelRetrieval):
    """XQuAD-R: 11 languages, each against its own sentences."""

    dataset_name, setting = "xquad-r", "monolingual"
    metadata = _lareqa("XQuADRMonolingualRetrieval", "xquad-r", "monolingual")


class XQuADRCrossLingualRetrieval(ParallelRetrieval):
    """XQuAD-R: 110 language pairs."""

    dataset_name, setting = "xquad-r", "cross-lingual"
    metadata = _lareqa("XQuADRCrossLingualRetrieval", "xquad-r", "cross-lingual")


class XQuADRMixedRetrieval(ParallelRetrieval):
    """XQuAD-R: 11 query languages against one pool of 13,014 sentences."""

    dataset_name, setting = "xquad-r", "multilingual"
    metadata = _lareqa("XQuADRMixedRetrieval", "xquad-r", "multilingual")


class MLQARMonolingualRetrieval(ParallelRetrieval):
    """MLQA-R: 7 languages, each against its own sentences."""

    dataset_name, setting = "mlqa-r", "monolingual"
    metadata = _lareqa("MLQARMonolingualRetrieval", "mlqa-r", "monolingual")


class MLQARCrossLingualRetrieval(ParallelRetrieval):
    """MLQA-R: 42 language pairs."""

    dataset_name, setting = "mlqa-r", "cross-lingual"
    metadata = _lareqa("MLQARCrossLingualRetrieval", "mlqa-r", "cross-lingual")


class MLQARMixedRetrieval(ParallelRetrieval):
    """MLQA-R: 7 query languages against one pool of 20,534 sentences."""

    dataset_name, setting = "mlqa-r", "multilingual"
    metadata = _lareqa("MLQARMixedRetrieval", "mlqa-r", "multilingual")
