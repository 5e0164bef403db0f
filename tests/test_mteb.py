"""MTEB's tasks of our sets: the same texts and labels, the same scores where its cutoff lets them be."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base.errors import UserError
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search

mteb = pytest.importorskip("mteb", reason="pip install mteb")

from lib.interop import mteb as mteb_tasks  # noqa: E402 - needs mteb

LAREQA = [
    mteb_tasks.XQuADRMonolingualRetrieval, mteb_tasks.XQuADRCrossLingualRetrieval, mteb_tasks.XQuADRMixedRetrieval,
    mteb_tasks.MLQARMonolingualRetrieval, mteb_tasks.MLQARCrossLingualRetrieval, mteb_tasks.MLQARMixedRetrieval,
]  # fmt: skip
CUTOFF = 1000


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A file of rows; questions 0 to 2 are not answered in Chinese, and 3 to 5 not asked in German."""
    rows = synthetic.rows(40)
    for number, row in enumerate(rows):
        if number < 3:
            del row["p"]["zh"]
        elif number < 6:
            del row["q"]["de"]
    path = tmp_path_factory.mktemp("mteb") / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def encoder():
    """Word vectors without prompts, normalised as every encoder of the suite."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    words = [text for row in synthetic.rows(40) for side in "qp" for text in row[side].values()]
    prompts = {"query": "", "document": ""}
    return SentenceTransformer(modules=[synthetic.encoder(words)[0], Normalize()], prompts=prompts, device="cpu")


def ours(model, name: str, languages: list[str] | None = None) -> pd.DataFrame:
    """Our values of every unit, of some languages alone if they are given, mAP with MTEB's cutoff."""
    chosen = data.evaluation_set(name)
    chosen = chosen.within(languages, name) if languages else chosen
    queries = embedding.encode(model, chosen.queries["text"].tolist(), "query")
    passages = embedding.encode(model, chosen.passages["text"].tolist(), "document")
    ranks = search.rank(queries, passages, chosen).ranks
    cut = ranks.assign(rank=_cut(ranks["rank"]), pool_rank=_cut(ranks["pool_rank"]))
    return metrics.units(cut)


def _cut(ranks: pd.Series) -> pd.Series:
    """A rank beyond the cutoff is so far off that what it adds to mAP is nothing."""
    return ranks.where(ranks <= CUTOFF, 10**12 + ranks.astype(np.int64))


def theirs(model, task, monkeypatch) -> tuple[dict[str, dict], dict[str, dict[str, float]]]:
    """MTEB's means by subset, rounded as it does, and its unrounded values by subset and query."""
    kept: dict[str, dict[str, float]] = {}

    def keep(self, scores, *given, hf_subset, **more):
        kept[hf_subset] = {qid: values[f"map_cut_{CUTOFF}"] for qid, values in scores.items()}
        return {}

    monkeypatch.setattr(mteb_tasks.ParallelRetrieval, "task_specific_scores", keep)
    result = mteb.evaluate(model, tasks=[task], cache=None, show_progress_bar=False)
    return {row["hf_subset"]: row for row in result.task_results[0].scores["test"]}, kept


def of_subset(units: pd.DataFrame, setting: str, subset: str) -> pd.DataFrame:
    query, _, passage = subset.partition("-")
    chosen = units[(units["setting"] == setting) & (units["query_language"] == query)]
    return chosen[chosen["passage_language"] == passage] if passage else chosen


# --- scores ---


@pytest.mark.parametrize("setting", metrics.SETTINGS)
def test_mteb_gives_our_scores_in_every_subset(own, encoder, monkeypatch, setting):
    task = mteb_tasks.on(own, setting)
    means, by_query = theirs(encoder, task, monkeypatch)
    units = ours(encoder, own)
    assert len(means) == {"monolingual": 3, "cross-lingual": 6, "multilingual": 3}[setting]
    for subset, scores in means.items():
        chosen = of_subset(units, setting, subset)
        assert sorted(by_query[subset].values()) == pytest.approx(sorted(chosen["map"]), abs=1e-6)
        for name, measure in (("map_at_1000", "map"), ("recall_at_10", "recall@10"), ("ndcg_at_10", "ndcg@10")):
            assert scores[name] == pytest.approx(chosen[measure].mean(), abs=5.1e-6)  # MTEB rounds to 5 digits
        assert scores["main_score"] == scores["map_at_1000"]


def test_the_mean_of_the_subsets_is_our_macro_mean(own, encoder, monkeypatch):
    means, _ = theirs(encoder, mteb_tasks.on(own, "multilingual"), monkeypatch)
    macro = metrics.macro(metrics.by_language(ours(encoder, own))).set_index(["setting", "metric"])
    found = np.mean([row["main_score"] for row in means.values()])
    assert found == pytest.approx(macro.loc[("multilingual", "map"), "value"], abs=5.1e-6)


@pytest.mark.real_data
def test_mteb_gives_our_scores_on_xquad_r(real_data, kept, monkeypatch):
    monkeypatch.setenv("HYBRID_STORE", str(kept))
    model = encoders.load(encoders.fetched("static"))
    task = mteb_tasks.XQuADRMonolingualRetrieval().filter_languages(languages=None, hf_subsets=["de", "th"])
    means, by_query = theirs(model, task, monkeypatch)
    assert set(means) == {"de", "th"}
    units = ours(model, "xquad-r", ["de", "th"])
    for subset in means:
        chosen = of_subset(units, "monolingual", subset)
        assert len(by_query[subset]) == 1190
        assert np.mean([*by_query[subset].values()]) == pytest.approx(chosen["map"].mean(), abs=1e-6)


# --- what the tasks say of themselves ---


@pytest.mark.parametrize("task", LAREQA)
def test_the_tasks_say_what_mteb_asks_for(task):
    found = task.metadata
    found._validate_metadata()  # MTEB's own list of languages and scripts
    assert found.name == task.__name__ and found.is_filled()
    pinned = f"/{found.dataset['path']}/{found.dataset['revision']}/{task.dataset_name}/"
    assert all(pinned in file.url for file in data.download.files_of(task.dataset_name))
    assert re.fullmatch("[0-9a-f]{40}", found.dataset["revision"])
    licence = data.download.files_of(task.dataset_name)[0].licence.lower().replace(" ", "-")
    assert licence.startswith(found.license)
    assert found.bibtex_citation.count("@inproceedings") == 2
    languages = len(mteb_tasks.LANGUAGES[task.dataset_name])
    subsets = {"monolingual": languages, "multilingual": languages, "cross-lingual": languages * (languages - 1)}
    assert len(found.eval_langs) == subsets[task.setting]
    spoken = {"monolingual": 1, "multilingual": languages, "cross-lingual": 2}
    assert {len(set(codes)) for codes in found.eval_langs.values()} == {spoken[task.setting]}


@pytest.mark.real_data
@pytest.mark.parametrize("task", LAREQA)
def test_the_tasks_hold_the_sets_as_released(real_data, task):
    made = task()
    made.load_data()
    chosen = data.evaluation_set(task.dataset_name)
    assert set(mteb_tasks.LANGUAGES[task.dataset_name]) == set(chosen.languages)
    assert set(made.dataset) == set(made.metadata.eval_langs)
    relevant = sum(len(docs) for part in made.dataset.values() for docs in part["test"]["relevant_docs"].values())
    same = chosen.queries["language"].to_numpy()[chosen.qrels["query"]]
    same = (same == chosen.passages["language"].to_numpy()[chosen.qrels["passage"]]).sum()
    wanted = {"monolingual": same, "cross-lingual": len(chosen.qrels) - same, "multilingual": len(chosen.qrels)}
    assert relevant == wanted[task.setting]
    one = made.dataset["ar-en" if task.setting == "cross-lingual" else "ar"]["test"]
    assert set(one["relevant_docs"]) == set(one["queries"]["id"])
    assert {docid for docs in one["relevant_docs"].values() for docid in docs} <= set(one["corpus"]["id"])


# --- mistakes ---


def test_what_cannot_be_a_task_is_told(own, tmp_path):
    with pytest.raises(UserError, match="setting 'mixed' does not exist; choose monolingual, cross-lingual, multilin"):
        mteb_tasks.on(own, "mixed")
    path = tmp_path / "far.jsonl"
    path.write_text(json.dumps({"id": "1", "q": {"fi": "missä"}, "p": {"fi": "siellä"}}))
    with pytest.raises(UserError, match="no MTEB code is known for fi; known are ar, de"):
        mteb_tasks.on(str(path), "monolingual")
    path = tmp_path / "alone.jsonl"
    path.write_text(json.dumps({"id": "1", "q": {"en": "where"}, "p": {"en": "there"}}))
    with pytest.raises(UserError, match="no cross-lingual setting"):
        mteb_tasks.on(str(path), "cross-lingual")
