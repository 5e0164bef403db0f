"""MIRACL: the real file layout, search by shard, and nDCG@10 and recall@100 as trec_eval has them."""

import gzip
import hashlib
import json
import math
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import paths
from lib.base.errors import UserError
from lib.data import download, facts
from lib.data.released import miracl as miracl_files
from lib.encoders import encode as embedding
from lib.evaluation import metrics, search
from lib.evaluation import shards as miracl
from lib.evidence import judge as evidence
from lib.runs import cells
from lib.runs import open as runs
from lib.runs import plan as grid
from lib.runs import preflight as checks
from lib.show import views

NUMBERS = ["zero", "one", "two", "three", "four", "five"]
TOPICS = "7\tup\n8#0\tdown\n"
QRELS = "7\tQ0\t1#0\t1\n7\tQ0\t3#1\t0\n7\tQ0\t4#0\t1\n8#0\tQ0\t1#0\t1\n8#0\tQ0\t9#9\t1\n"
SHARDS = [  # as many files as Arabic has
    [("1#0", "five"), ("1#1", "one")],
    [("2#0", "four")],
    [("3#0", "three"), ("3#1", "five")],
    [("4#0", "two")],
    [("5#0", "zero")],
]


def encoder(texts, pattern: str = r"\S+", vectors: dict[str, list[float]] | None = None):
    """Word vectors of what ``pattern`` finds in the texts: those given, else random ones, shorter for common words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    count = Counter(word for text in texts for word, _ in split.pre_tokenize_str(text.lower()))
    table = np.random.default_rng(0).normal(size=(len(count), 64)) / np.sqrt([*count.values()])[:, None]
    if vectors:
        table = np.array([vectors[word] for word in count])
    words = {word: number for number, word in enumerate(["[UNK]", *count])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), split
    weights = np.pad(table, ((1, 0), (0, 0))).astype(np.float32)
    modules = [StaticEmbedding(tokenizer, embedding_weights=weights), *([] if vectors else [Normalize()])]
    return SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="dot")


@pytest.fixture(scope="module")
def counting():
    """Scores are the number that a passage names, halved by the title's zero, upwards or downwards.

    It also knows the words of the facts, for no language's texts may be all one to it.
    """
    texts = {text for row in facts.rows() for side in "qp" for text in row[side].values()}
    vectors = {word: [0, len(word)] for word in sorted({w for text in texts for w in text.lower().split()})}
    vectors |= {"up": [1, 0], "down": [-1, 0], "t": [0, 0]} | {w: [n, 0] for n, w in enumerate(NUMBERS)}
    return encoder([" ".join(vectors)], vectors=vectors)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder where ir_datasets keeps its files; nothing answers on the network."""
    pytest.importorskip("ir_datasets")
    import requests

    def unreachable(**_):
        raise requests.exceptions.ConnectionError("no route")

    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    monkeypatch.delenv("HYBRID_DATA_MIRROR", raising=False)
    monkeypatch.setattr(requests, "get", unreachable)
    return tmp_path / "miracl" / "v1.0"


@pytest.fixture
def arabic(home):
    """MIRACL's Arabic files as ir_datasets lays them out, with a few passages of one word."""
    (home / "ar" / "dev").mkdir(parents=True)
    (home / "ar" / "docs").mkdir()
    (home / "ar" / "dev" / "topics.tsv").write_text(TOPICS, encoding="utf-8")
    (home / "ar" / "dev" / "qrels.tsv").write_text(QRELS, encoding="utf-8")
    for number, shard in enumerate(SHARDS):
        with gzip.open(home / "ar" / "docs" / f"docs-{number}.jsonl.gz", "wt", encoding="utf-8") as file:
            for docid, text in shard:
                file.write(json.dumps({"docid": docid, "title": "t", "text": text}) + "\n")
    return home / "ar"


# --- the files ---


def test_topics_qrels_and_passages_are_read_from_the_released_layout(arabic):
    assert miracl_files.topics("ar").values.tolist() == [["7", "up"], ["8#0", "down"]]
    assert miracl_files.qrels("ar").values.tolist()[:2] == [["7", "1#0", 1], ["7", "3#1", 0]]
    assert list(miracl_files.passages("ar")) == [[(docid, f"t {text}") for shard in SHARDS for docid, text in shard]]
    assert [len(shard) for shard in miracl_files.passages("ar", size=3)] == [3, 3, 1]


def test_quotes_and_unusual_line_ends_are_part_of_a_topic(arabic):
    (arabic / "dev" / "topics.tsv").write_text('1\t"Who\n2\tor\u2028what\x85?\n', encoding="utf-8", newline="")
    assert miracl_files.topics("ar")["text"].tolist() == ['"Who', "or\u2028what\x85?"]


@pytest.mark.real_data
@pytest.mark.parametrize("language", miracl_files.LANGUAGES)
def test_official_topics_and_qrels_are_read_in_full(language, home):
    ir_datasets = pytest.importorskip("ir_datasets")
    mirror = paths.mirror()
    if mirror is None or not (mirror / "miracl-topics-qrels").is_dir():
        pytest.skip("the official topics and qrels are not here: they exist only in mirrors")
    (home / language / "dev").mkdir(parents=True)
    for kind in ("topics", "qrels"):
        body = gzip.decompress(
            (mirror / "miracl-topics-qrels" / f"{kind}.miracl-v1.0-{language}-dev.tsv.gz").read_bytes()
        )
        listed = ir_datasets.util.DownloadConfig.contents()["miracl"][f"v1.0/{language}/dev/{kind}"]
        assert hashlib.md5(body).hexdigest() == listed["expected_md5"]
        (home / language / "dev" / f"{kind}.tsv").write_bytes(body)
    known = ir_datasets.load(f"miracl/{language}/dev")
    topics, qrels = miracl_files.topics(language), miracl_files.qrels(language)
    assert len(topics) == known.queries_count() and topics["question"].is_unique and topics["text"].str.len().min() > 0
    grades = known.qrels_metadata()["fields"]["relevance"]["counts_by_value"]
    assert {str(grade): n for grade, n in qrels["grade"].value_counts().items()} == grades
    assert set(qrels.loc[qrels["grade"] > 0, "question"]) == set(topics["question"])  # each has a relevant passage


# --- search ---


def test_all_of_it_by_hand(arabic, counting):
    rows = miracl.evaluate(counting, "ar", size=2)
    gain = [1 / math.log2(1 + rank) for rank in (1, 2, 5, 7)]
    # up: 3#1 1#0 2#0 3#0 4#0; down: 1#0 is the last of 7, after its equal 3#1, and 9#9 is in no shard
    assert rows["question"].tolist() == ["7", "8#0"]
    ideal = gain[0] + gain[1]
    assert rows["ndcg@10"].tolist() == pytest.approx([(gain[1] + gain[2]) / ideal, gain[3] / ideal])
    assert rows["recall@100"].tolist() == [1, 0.5]
    assert set(rows["pool"]) == {"miracl-dev"}
    means = metrics.by_language(rows)
    assert means[["setting", "query_language", "passage_language"]].drop_duplicates().values.tolist() == [
        ["monolingual", "ar", "ar"]
    ]
    assert means.set_index("metric")["value"].to_dict()["recall@100"] == 0.75


@st.composite
def corpora(draw):
    """Shards of one-word passages under docids in no order; few words, so many ties."""
    names = draw(st.lists(st.integers(0, 999), unique=True, min_size=1, max_size=40))
    return [(f"{name}#{name % 7}", f"t {draw(st.sampled_from(NUMBERS))}") for name in names]


@settings(max_examples=60, deadline=None)
@given(corpus=corpora(), size=st.integers(1, 41), k=st.integers(1, 45))
def test_the_first_k_are_those_of_a_full_sort_in_shards_of_any_size(counting, corpus, size, k):
    shards = [corpus[start : start + size] for start in range(0, len(corpus), size)]
    docids, scores = miracl.search_by_shard(counting, ["up", "down"], shards, k)
    for row, sign in enumerate((1, -1)):
        ranked = sorted(((sign * NUMBERS.index(text[2:]) / 2, docid) for docid, text in corpus), reverse=True)[:k]
        assert list(zip(scores[row].tolist(), docids[row].tolist(), strict=True)) == ranked


def test_more_queries_than_a_block_and_shards_of_other_sizes_give_the_same_scores():
    draw = np.random.default_rng(1)
    words = [f"w{n}" for n in range(200)]
    texts = [" ".join(draw.choice(words, 5)) for _ in range(900)]
    model = encoder(words)
    corpus = [(f"{n}#0", text) for n, text in enumerate(texts + texts[:100])]  # equal passages, far apart
    whole = miracl.search_by_shard(model, texts[:300], [corpus])
    parts = miracl.search_by_shard(model, texts[:300], [corpus[:1], corpus[1:130], corpus[130:]])
    assert (whole[0] == parts[0]).all() and (whole[1] == parts[1]).all()
    assert whole[0].shape == (300, 100)
    tied = np.diff(whole[1]) == 0
    assert tied.any() and (whole[0][:, :-1][tied] > whole[0][:, 1:][tied]).all()


def test_only_one_shard_is_held_at_a_time(counting, monkeypatch):
    seen, encode = [], embedding.encode
    monkeypatch.setattr(embedding, "encode", lambda m, texts, *rest: seen.append(len(texts)) or encode(m, texts, *rest))
    read = []

    def shards():
        for number in range(4):
            read.append(len(seen))
            yield [(f"{number}#0", "t one"), (f"{number}#1", "t two")]

    advanced = []
    miracl.search_by_shard(counting, ["up"], shards(), advance=advanced.append)
    assert seen == [1, 2, 2, 2, 2]
    assert read == [1, 2, 3, 4]  # the next shard is read when the last one is encoded
    assert sum(advanced) == 8


# --- measures ---


def by_trec_eval(topics: pd.DataFrame, qrels: pd.DataFrame, docids: np.ndarray) -> pd.DataFrame:
    import pytrec_eval

    judged = {q: dict(zip(g["docid"], g["grade"].tolist(), strict=True)) for q, g in qrels.groupby("question")}
    k = docids.shape[1]
    run = {q: {d: float(k - n) for n, d in enumerate(row)} for q, row in zip(topics["question"], docids, strict=True)}
    found = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.100"}).evaluate(run)
    return pd.DataFrame([found[q] for q in topics["question"]])[["ndcg_cut_10", "recall_100"]]


def measured(topics: pd.DataFrame, qrels: pd.DataFrame, docids: np.ndarray) -> pd.DataFrame:
    found = metrics.measure(miracl.ranks(topics, qrels, docids), ["question"], "rank").set_index("question")
    return found.loc[topics["question"], miracl.COMPUTED]


def test_a_relevant_passage_that_is_not_retrieved_lowers_recall_and_the_gain():
    topics = pd.DataFrame({"question": ["1"], "text": ["?"]})
    qrels = pd.DataFrame({"question": "1", "docid": ["a", "b", "c"], "grade": [1, 1, 0]})
    docids = np.array([["c", "a"]])
    assert miracl.ranks(topics, qrels, docids).values.tolist() == [["1", "a", 2], ["1", "b", np.inf]]
    found = measured(topics, qrels, docids).iloc[0]
    assert found["recall@100"] == 0.5
    assert found["ndcg@10"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    nothing = measured(topics, qrels, np.array([["x", "y"]])).iloc[0]
    assert nothing.tolist() == [0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_measures_agree_with_trec_eval(seed):
    pytest.importorskip("pytrec_eval")
    draw = np.random.default_rng(seed)
    topics = pd.DataFrame({"question": [f"{n}#0" for n in range(6)], "text": "?"})
    docids = np.array([draw.permutation([f"{n}#1" for n in range(150)])[:100] for _ in range(6)])
    judged = [(q, f"{d}#1", int(d % 3 > 0)) for q in topics["question"] for d in draw.choice(160, 25, replace=False)]
    qrels = pd.DataFrame(judged, columns=["question", "docid", "grade"])
    found, wanted = measured(topics, qrels, docids), by_trec_eval(topics, qrels, docids)
    assert np.abs(found.to_numpy() - wanted.to_numpy()).max() < 1e-9
    assert 0 < found["recall@100"].mean() < 1


@pytest.mark.real_data
def test_real_passages_agree_with_trec_eval_and_with_the_search_of_all_at_once(real_data):
    pytest.importorskip("pytrec_eval")
    if not (real_data / "miracl-mini").is_dir():
        pytest.skip("miracl-mini is not here: it exists only in mirrors")
    chosen = miracl.collection("zh", "miracl-mini")
    [passages] = [dict(shard) for shard in chosen.shards]
    asked = chosen.topics["text"].tolist()
    model = encoder([*asked, *passages.values()], pattern=r"[\u4e00-\u9fff]|[a-z0-9]+")
    rows = miracl.evaluate(model, "zh", "miracl-mini", size=700)
    assert set(rows["pool"]) == {"miracl-mini"} and rows["question"].tolist() == chosen.topics["question"].tolist()
    assert 0.1 < rows["recall@100"].mean() < 0.95  # neither all right nor all wrong: the comparison says something

    queries, vectors = (
        embedding.encode(model, asked, "query"),
        embedding.encode(model, [*passages.values()], "document"),
    )
    scores = (queries.astype(np.float64) @ vectors.T.astype(np.float64)).astype(np.float32)
    names = np.array([*passages])
    docids = np.array([names[np.lexsort((names, line))[::-1][:100]] for line in scores])
    wanted = by_trec_eval(chosen.topics, chosen.qrels, docids)
    assert np.abs(rows[miracl.COMPUTED].to_numpy() - wanted.to_numpy()).max() < 1e-9

    full = miracl_files.mini()
    pool, own = (full.passages["language"] == "zh").to_numpy(), full.queries["language"] == "zh"
    everywhere = np.zeros((len(pool), vectors.shape[1]), np.float32)
    everywhere[pool] = vectors
    units = metrics.units(search.rank(queries, everywhere, full.only(own.to_numpy())).ranks)
    for name in miracl.COMPUTED:  # it scores in float32, where near ties may fall the other way
        assert rows[name].mean() == pytest.approx(units[name].mean(), abs=0.002)


# --- what goes wrong ---


def told(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_damaged_shard_is_named_with_the_remedy(arabic, counting):
    shard = arabic / "docs" / "docs-2.jsonl.gz"
    shard.write_bytes(shard.read_bytes()[:-12])
    with pytest.raises(UserError) as error:
        miracl.evaluate(counting, "ar")
    assert told(error).startswith(f"{shard}: cannot be read beyond line")
    assert told(error).endswith("delete the file, and it is downloaded again")


@pytest.mark.parametrize("row", ['{"docid": "1#0", "text": "no title"}', "[1]"])
def test_a_shard_of_something_else_is_named(arabic, row):
    shard = arabic / "docs" / "docs-4.jsonl.gz"
    shard.write_bytes(gzip.compress(row.encode()))
    with pytest.raises(UserError) as error:
        list(miracl_files.passages("ar"))
    assert told(error).startswith(f"{shard}: not passages with docid, title and text; delete the file")


def test_a_line_with_other_fields_is_named(arabic):
    (arabic / "dev" / "qrels.tsv").write_text("7\tQ0\t1#0\t1\n7 Q0 1#1 1\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        miracl_files.qrels("ar")
    assert told(error).startswith(f"{arabic / 'dev' / 'qrels.tsv'}, line 2: 1 fields instead of 4; delete the file")


def test_without_a_network_one_line_says_so_before_anything_is_encoded(arabic, counting, monkeypatch, capfd):
    shard = arabic / "docs" / "docs-3.jsonl.gz"
    shard.unlink()
    monkeypatch.setattr(embedding, "encode", lambda *_: pytest.fail("encoded too soon"))
    with pytest.raises(download.NotObtainable) as error:
        miracl.evaluate(counting, "ar")
    assert told(error) == (
        "miracl-dev: the download of docs-3.jsonl.gz failed (ConnectionError); "
        f"connect to the network and start again, or put the file at {shard}"
    )
    assert capfd.readouterr().err == ""


def test_with_a_mirror_set_nothing_is_downloaded(home, monkeypatch, tmp_path):
    import requests

    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(tmp_path))
    monkeypatch.setattr(requests, "get", lambda **_: pytest.fail("looked up"))
    with pytest.raises(download.NotObtainable, match="HYBRID_DATA_MIRROR is set, so that nothing is downloaded"):
        miracl_files.topics("de")


@pytest.fixture
def whole(arabic, counting, own_folders, monkeypatch):
    """A run that is scored on all of MIRACL, which has one language here and seven passages, and on facts."""
    monkeypatch.setattr(miracl_files, "LANGUAGES", ("ar",))
    miracl_files.full.cache_clear()
    counting.save(str(own_folders / "counting"), create_model_card=False)
    overrides = [f"encoder={own_folders / 'counting'}", "strategies=[none]", "eval=[facts,miracl-dev]"]
    yield runs.open_run("smoke", overrides)
    miracl_files.full.cache_clear()


def test_a_profile_may_name_the_full_corpora(whole, counting):
    none, large = grid.plan(whole.config)
    assert (none.on, large.on) == ("", "miracl-dev")
    record = cells.finish(whole, large)
    ranks = cells.ranks(whole, large)
    assert ranks[["question", "query_language", "passage_language"]].values.tolist() == [
        [0, "ar", "ar"], [0, "ar", "ar"], [1, "ar", "ar"], [1, "ar", "ar"]
    ]  # fmt: skip
    assert ranks["rank"].tolist() == [2, 5, 7, math.inf]
    assert record["vectors"] == record["top"] == {} and cells.record(whole, large) == record

    scored = evidence.evaluate(whole)
    found = scored[scored["dataset"] == "miracl-dev"].set_index("metric")["value"]
    assert set(scored.loc[scored["dataset"] == "miracl-dev", "setting"]) == {"monolingual"}
    expected = metrics.macro(metrics.by_language(miracl.evaluate(counting, "ar"))).set_index("metric")["value"]
    assert expected.to_dict() == pytest.approx(found[expected.index].to_dict(), abs=1e-6)  # as tables round
    assert views.evaluation_sets(whole).loc["miracl-dev", ["questions", "queries"]].tolist() == [2, 2]


def test_other_files_are_another_cell_and_none_is_read_to_know(whole, arabic, monkeypatch):
    large = grid.plan(whole.config)[1]
    before = cells.inputs(large, whole.config)
    for path in [*arabic.rglob("*.gz"), *arabic.rglob("*.tsv")]:
        path.unlink()
    assert cells.inputs(large, whole.config) == before
    listed = miracl_files.identity()
    monkeypatch.setattr(miracl_files, "identity", lambda: listed | {"v1.0/ar/corpus/0": "another"})
    assert cells.inputs(large, whole.config) != before


def test_topics_that_cannot_be_had_are_told_before_any_work(whole, arabic):
    (arabic / "dev" / "topics.tsv").unlink()
    with pytest.raises(download.NotObtainable, match="topics"):
        checks.work(whole, cells.missing(whole))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(UserError, match=r"miracl-dev: the package ir-datasets is missing; pip install '\.\[ir\]'"):
        miracl_files.topics("de")


def test_unknown_languages_and_pools_are_refused(counting):
    with pytest.raises(UserError, match="language 'tr' is not one of ar, de, en, es, hi, ru, th, zh"):
        miracl.evaluate(counting, "tr")
    with pytest.raises(UserError, match="pool 'full' does not exist; choose miracl-dev or miracl-mini"):
        miracl.evaluate(counting, "de", "full")
