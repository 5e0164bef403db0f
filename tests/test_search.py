"""Exact search: ranks in each language's corpus and in the pool, by one total order, whatever the block size."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import sets as parallel
from lib.evaluation import search


def made_up(queries, passages, answers) -> parallel.ParallelSet:
    """A set from (question, language), passage languages (sorted), and (question, passage) pairs."""
    number, rows = {}, []
    for language in passages:
        number[language] = number.get(language, -1) + 1
        rows.append((f"{language}-{number[language]:05d}", language, f"text {len(rows)}"))
    count = max(question for question, _ in queries) + 1
    questions = pd.DataFrame({"id": [str(n) for n in range(count)], "group": "g", "split": "test"})
    texts = [(question, language, f"query {question} {language}") for question, language in queries]
    return parallel.assemble("made up", questions, texts, rows, answers)


def expected(query_vectors, passage_vectors, data) -> tuple[list[tuple], np.ndarray]:
    """The same by sorting every ranking in full, in plain Python."""
    language, docid = data.passages["language"].tolist(), data.passages["docid"].tolist()
    rows, top = [], np.zeros((len(data.languages),) * 2, int)
    for query, passage in data.qrels.values.tolist():
        scores = [float(query_vectors[query] @ vector) for vector in passage_vectors]
        order = sorted(range(len(docid)), key=lambda d: docid[d], reverse=True)
        order = sorted(order, key=lambda d: -scores[d])  # stable: docid descending among equals
        own = [d for d in order if language[d] == language[passage]]
        question, asked = data.queries["question"][query], data.queries["language"][query]
        rows.append((question, asked, language[passage], own.index(passage) + 1, order.index(passage) + 1))
    for query in range(len(query_vectors)):
        scores = [float(query_vectors[query] @ vector) for vector in passage_vectors]
        first = sorted(range(len(docid)), key=lambda d: (scores[d], docid[d]), reverse=True)[:10]
        asked = data.languages.index(data.queries["language"][query])
        for passage in first:
            top[asked, data.languages.index(language[passage])] += 1
    return rows, top


def found_in(ranking: search.Ranking) -> list[tuple]:
    return list(ranking.ranks.itertuples(index=False, name=None))


# --- by hand ---


def test_ranks_in_the_own_corpus_and_in_the_pool_by_hand():
    data = made_up([(0, "de"), (0, "en")], ["de", "de", "en", "en", "en"], [(0, 1), (0, 3)])
    passages = np.array([[4], [2], [5], [3], [1]], np.float32)
    ranking = search.rank(np.array([[1], [-1]], np.float32), passages, data)
    assert found_in(ranking) == [
        (0, "de", "de", 2, 4),  # 5 4 3 [2] 1
        (0, "de", "en", 2, 3),  # 5 4 [3] 2 1
        (0, "en", "de", 1, 2),  # the other way round: 1 [2] 3 4 5
        (0, "en", "en", 2, 3),  # 1 2 [3] 4 5
    ]
    assert ranking.top.tolist() == [[2, 3], [2, 3]]  # de, en: all five passages are among the first ten


def test_among_equal_scores_the_higher_docid_comes_first():
    data = made_up([(0, "en")], ["de", "de", "en", "en", "en"], [(0, 0), (0, 3)])
    ranking = search.rank(np.ones((1, 2), np.float32), np.ones((5, 2), np.float32), data)
    assert found_in(ranking) == [(0, "en", "de", 2, 5), (0, "en", "en", 2, 2)]


def test_a_language_with_one_passage_has_one_rank():
    data = made_up([(0, "de"), (0, "en")], ["de", "en", "en"], [(0, 0), (0, 1)])
    ranking = search.rank(np.eye(2, dtype=np.float32), np.array([[0, 0], [9, 0], [8, 9]], np.float32), data)
    assert found_in(ranking) == [
        (0, "de", "de", 1, 3),
        (0, "de", "en", 1, 1),
        (0, "en", "de", 1, 3),  # ties with en-00000 at score 0: the higher docid goes first
        (0, "en", "en", 2, 2),
    ]


def test_a_question_without_an_answer_in_a_language_has_no_rank_there():
    data = made_up([(0, "en"), (1, "en"), (1, "zh")], ["en", "en", "zh"], [(0, 0), (1, 1), (1, 2)])
    ranking = search.rank(np.ones((3, 1), np.float32), np.arange(3, dtype=np.float32)[:, None], data)
    pairs = ranking.ranks[["question", "query_language", "passage_language"]].values.tolist()
    assert pairs == [[0, "en", "en"], [1, "en", "en"], [1, "en", "zh"], [1, "zh", "en"], [1, "zh", "zh"]]


def test_a_language_may_have_queries_but_no_passages():
    data = made_up([(0, "ar"), (0, "zh")], ["en", "zh"], [(0, 0), (0, 1)])
    ranking = search.rank(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32), data)
    assert found_in(ranking) == [(0, x, y, 1, r) for x in ("ar", "zh") for y, r in (("en", 2), ("zh", 1))]


def test_chinese_sentences_are_found_by_their_labels():
    rows = [
        {"id": "1", "q": {"zh": "首都在哪里？"}, "p": {"zh": "北京是首都。", "en": "Beijing."}},
        {"id": "2", "q": {"zh": "哪里很热？"}, "p": {"zh": "广州很热。", "en": "Guangzhou."}},
    ]
    data = parallel.from_rows("chinese", rows)
    characters = sorted(set("".join(data.queries["text"])) - set("？"))

    def counts(texts):
        return np.array([[text.count(c) for c in characters] for text in texts], np.float32)

    ranking = search.rank(counts(data.queries["text"]), counts(data.passages["text"]), data)
    chinese = ranking.ranks[ranking.ranks["passage_language"] == "zh"]
    assert chinese["rank"].tolist() == chinese["pool_rank"].tolist() == [1, 1]


def test_passages_out_of_order_are_refused():
    data = made_up([(0, "en")], ["en", "zh", "zh"], [(0, 0)])
    mixed = data.passages.iloc[[1, 0, 2]].reset_index(drop=True)
    broken = parallel.ParallelSet("x", "x", data.questions, data.queries, mixed, data.qrels)
    with pytest.raises(ValueError, match="sorted by docid"):
        search.rank(np.ones((1, 1), np.float32), np.ones((3, 1), np.float32), broken)


# --- against a sort of everything ---


@st.composite
def problems(draw):
    """Sets with few distinct scores, so with many ties; several relevant passages a language, or none."""
    passages = sorted(draw(st.lists(st.sampled_from(["ar", "en", "zh"]), min_size=1, max_size=24)))
    languages = sorted(set(passages))
    count = draw(st.integers(1, 6))
    asked = st.sets(st.sampled_from(languages), min_size=1)
    queries = [(n, language) for n in range(count) for language in sorted(draw(asked))]
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, len(passages) - 1))
    answers = sorted(draw(st.sets(pair, min_size=1, max_size=20)))
    values = np.random.default_rng(draw(st.integers(0, 10**6)))
    vectors = [values.integers(-1, 2, (n, 2)).astype(np.float32) for n in (len(queries), len(passages))]
    return made_up(queries, passages, answers), *vectors


@settings(max_examples=200, deadline=None)
@given(problem=problems(), block=st.integers(1, 8))
def test_ranks_and_top_languages_are_those_of_a_full_sort_in_blocks_of_any_size(problem, block):
    data, queries, passages = problem
    rows, top = expected(queries, passages, data)
    ranking = search.rank(queries, passages, data, block)
    assert found_in(ranking) == rows
    assert ranking.top.tolist() == top.tolist()
    assert found_in(search.rank(queries, passages, data)) == rows


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.lists(st.integers(-2, 2), min_size=7, max_size=7), min_size=1, max_size=5),
    k=st.integers(1, 9),
)
def test_the_first_k_passages_are_those_of_a_full_sort(scores, k):
    found = search.top_passages(np.array(scores, np.float32), k)
    wanted = [sorted(range(7), key=lambda d: (line[d], d), reverse=True)[:k] for line in scores]
    assert found.tolist() == wanted


def test_no_two_passages_have_the_same_rank():
    draw = np.random.default_rng(1)
    data = made_up([(0, "en")], ["de"] * 20 + ["en"] * 20, [(0, p) for p in range(40)])
    ranks = search.rank(np.ones((1, 1), np.float32), draw.integers(0, 3, (40, 1)).astype(np.float32), data).ranks
    assert sorted(ranks["pool_rank"]) == list(range(1, 41))
    for _, own in ranks.groupby("passage_language"):
        assert sorted(own["rank"]) == list(range(1, 21))
        in_pool = own.sort_values("rank")["pool_rank"].tolist()
        assert all(one < other for one, other in pairwise(in_pool))  # one order for both
