"""What is promised of batches: their kinds, no false negatives, one order for (seed, epoch), and that training
uses the very batches that the log shows, resumed or not."""

import hashlib
import json
import math
import pickle

import numpy as np
import pytest
import synthetic
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.base import config
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data import sets as parallel
from lib.training import checkpoints, sampling
from lib.training import fit as training
from lib.training.pairs import Pairs
from lib.training.sampling import LanguageBatchSampler, Strategy

STRATEGIES = [Strategy("x-x-mono"), Strategy("x-y"), Strategy("hybrid", 0.5), Strategy("x-x"), Strategy("en-en")]


def pairs_of(rows: list[dict]) -> Pairs:
    return Pairs.of(parallel.from_rows("made up", rows))


def index(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Question, query language and passage language of each row number."""
    return np.nonzero(pairs.row >= 0)


@st.composite
def partly_parallel_rows(draw) -> list[dict]:
    """Questions in two or three languages, many of them with the same answers."""
    languages = st.sets(st.sampled_from(synthetic.LANGUAGES), min_size=2)
    passages = draw(st.integers(8, 30))
    rows = []
    for n in range(draw(st.integers(8, 30))):
        answer = draw(st.integers(0, passages - 1))
        q, p = draw(languages), draw(languages)
        rows.append({"id": str(n), "q": {x: f"q{n}{x}" for x in q}, "p": {x: f"p{answer}{x}" for x in p}})
    return rows


def listed(rows: list[dict]) -> list[tuple[str, str, str, str]]:
    """Every pair that rows offer, as a list of one's own: question, both languages, passage."""
    return [(r["id"], a, b, r["p"][b]) for r in rows for a in sorted(r["q"]) for b in sorted(r["p"])]


# --- what a batch holds ---


@settings(max_examples=100, deadline=None)
@given(
    rows=partly_parallel_rows(),
    strategy=st.sampled_from(STRATEGIES),
    size=st.integers(2, 4),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
    processes=st.sampled_from([1, 2]),
)
def test_every_batch_is_of_its_kind_and_holds_no_conflict(rows, strategy, size, seed, epoch, processes):
    pairs = pairs_of(rows)
    question, asked, answered = index(pairs)
    try:
        sampler = LanguageBatchSampler(strategy, pairs, size, seed, processes)
        batches = list(sampler.batches(epoch))
    except UserError:
        assume(False)
    assert len(batches) == math.ceil(len(rows) / (size * processes))
    for batch in batches:
        chosen = np.array(batch.rows)
        assert len(chosen) == size * processes
        assert len(set(question[chosen])) == len(chosen), "a question twice"
        languages = list(zip(asked[chosen], answered[chosen], strict=True))
        same = [one == other for one, other in languages]
        if batch.kind == "cross":
            assert not any(same)
        else:
            assert all(same)
            assert batch.kind == "x-x" or len(set(languages)) == 1
        if batch.kind == "en-en":
            assert pairs.languages[languages[0][0]] == "en"
        texts = [text for number in question[chosen] for text in rows[number]["p"].values()]
        assert len(set(texts)) == len(texts), "two questions share a relevant passage"
        kinds = {"hybrid": {"mono", "cross"}, "x-x-mono": {"mono"}, "x-y": {"cross"}}
        assert batch.kind in kinds.get(strategy.name, {strategy.name})


@settings(max_examples=30, deadline=None)
@given(rows=partly_parallel_rows())
def test_pairs_are_all_that_the_rows_offer_and_know_their_texts(rows):
    found = parallel.from_rows("made up", rows)
    pairs = Pairs.of(found)
    question, asked, answered = index(pairs)
    made = set()
    for number in range(len(pairs.anchor)):
        assert pairs.row[question[number], asked[number], answered[number]] == number
        row = rows[question[number]]
        query, passage = found.queries["text"][pairs.anchor[number]], found.passages["text"][pairs.positive[number]]
        assert query == row["q"][pairs.languages[asked[number]]]
        assert passage == row["p"][pairs.languages[answered[number]]]
        made.add((question[number], query, passage))
    assert made == {(n, q, p) for n, r in enumerate(rows) for q in r["q"].values() for p in r["p"].values()}


@given(rows=partly_parallel_rows(), strategy=st.sampled_from(STRATEGIES), seed=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_a_list_of_pairs_gives_the_batches_of_the_set_that_it_lists(rows, strategy, seed):
    try:
        wanted = LanguageBatchSampler(strategy, pairs_of(rows), 3, seed)
        batches, log = list(wanted.batches(1)), wanted.log(4)
    except UserError:
        assume(False)
    sampler = LanguageBatchSampler(strategy, Pairs.listed(*zip(*listed(rows), strict=True)), 3, seed)
    assert list(sampler.batches(1)) == batches
    assert sampler.log(4).equals(log)


def test_pairs_are_numbered_as_they_are_listed():
    own = listed(synthetic.rows(6))[::-1]
    sampler = LanguageBatchSampler(Strategy("hybrid", 0.5), Pairs.listed(*zip(*own, strict=True)), 4)
    for batch, languages in zip(sampler, sampler.log(len(sampler))["languages"], strict=True):
        shown = sorted({f"{own[n][1]}>{own[n][2]}" for n in batch})
        assert [part.split(":")[0] for part in languages.split()] == shown


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", "de", "en", "x"), ("a", "de", "en", "x")], "row 1: question 'a' occurs again from de to en"),
        ([("b", "de", "en", "x"), ("a", "de", "en", "x"), ("a", "en", "en", "y")], "row 2: question 'a'.*one passage"),
    ],
)
def test_a_list_with_two_answers_in_a_language_is_refused(rows, words):
    with pytest.raises(UserError, match=words):
        Pairs.listed(*zip(*rows, strict=True))


def test_an_id_that_is_a_list_is_refused_with_its_row():
    with pytest.raises(UserError, match=r"row 2: questions holds \[1, 2\]; an id is a text or a number"):
        Pairs.listed(["a", [1, 2]], ["de", "en"], ["en", "en"], ["x", "y"])


def test_a_listed_negative_never_meets_the_question_that_it_answers():
    numbers, negatives = [str(n) for n in range(8)], [f"p{(n + 1) % 8}" for n in range(8)]
    pairs = Pairs.listed(numbers, ["en"] * 8, ["en"] * 8, [f"p{n}" for n in range(8)], negatives)
    for _, batch in LanguageBatchSampler(Strategy("x-x-mono"), pairs, 3).first(20):
        assert all((row + 1) % 8 not in batch.rows for row in batch.rows)


def test_a_blank_more_makes_no_other_language_and_no_other_question():
    asked = ["de", "de ", " en", "en"] * 4
    numbers = [f"{n // 4}" + " " * (n % 2) for n in range(16)]
    answered = ["de", "en\t", "de", "en"] * 4
    texts = [f"{n // 4}{code.strip()}" for n, code in enumerate(answered)]
    pairs = Pairs.listed(numbers, asked, answered, texts)
    assert pairs.languages == ["de", "en"] and pairs.row.shape == (4, 2, 2) and (pairs.row >= 0).all()


def test_a_data_set_with_other_negatives_than_the_pairs_is_refused():
    from datasets import Dataset

    numbers = [str(n) for n in range(8)]
    texts, wrong = [f"p{n}" for n in range(8)], [f"n{n}" for n in range(8)]
    pairs = Pairs.listed(numbers, ["en", "de"] * 4, ["en", "de"] * 4, texts, wrong, [f"q{n}" for n in range(8)])
    make = Strategy("x-x-mono").sampler(pairs)
    columns = {"anchor": [f"q{n}" for n in range(8)], "positive": texts, "negative": wrong}
    assert len(list(make(Dataset.from_dict(columns), batch_size=2, seed=0))) > 0
    with pytest.raises(UserError, match="other texts than the pairs"):
        list(make(Dataset.from_dict(columns | {"negative": wrong[1:] + wrong[:1]}), batch_size=2, seed=0))


def test_listed_questions_in_the_same_words_never_meet_where_the_words_are_given():
    """Each has an answer of its own, which is right for both: side by side one would be a false negative."""
    numbers = [str(n) for n in range(8)]
    words = [f"q{n // 2}" for n in range(8)]
    columns = (numbers, ["en"] * 8, ["en"] * 8, [f"p{n}" for n in range(8)])
    pairs = Pairs.listed(*columns, queries=[f"{text} " if n % 2 else text for n, text in enumerate(words)])
    for _, batch in LanguageBatchSampler(Strategy("x-x-mono"), pairs, 3).first(20):
        assert len({words[row] for row in batch.rows}) == 3
    apart, plain = Pairs.listed(*columns, queries=numbers), Pairs.listed(*columns)
    assert (apart.answers == plain.answers).all() and apart.wrong.shape == plain.wrong.shape


def test_a_listed_question_never_meets_what_answers_its_words_in_another_row():
    columns = (["a", "b", "c"], ["en"] * 3, ["en"] * 3, ["x", "y", "x"])
    pairs = Pairs.listed(*columns, queries=["who", "who", "when"])  # c shows x, which is right for b's words too
    for _, batch in LanguageBatchSampler(Strategy("x-x-mono"), pairs, 1).first(6):
        assert len(batch.rows) == 1
    with pytest.raises(UserError, match="can share a batch of 2"):
        list(LanguageBatchSampler(Strategy("x-x-mono"), pairs, 2).first(1))


def test_passages_that_are_the_same_in_two_languages_never_share_a_batch():
    pairs = Pairs.listed(["1", "2", "3"], ["de", "en", "de"], ["en", "de", "en"], ["iPhone 12", "iPhone 12", "other"])
    for _, batch in LanguageBatchSampler(Strategy("x-y"), pairs, 2).first(12):
        assert set(batch.rows) != {0, 1}


def test_a_language_that_is_only_asked_in_has_no_batches_of_its_own():
    rows = [{"id": f"{n}", "q": {x: f"q{n}{x}" for x in ("de", "fr")}, "p": {"de": f"p{n}"}} for n in range(12)]
    pairs = pairs_of(rows)
    order = LanguageBatchSampler(Strategy("hybrid", 0.5), pairs, 4)
    assert {batch.kind for _, batch in order.first(30)} == {"mono", "cross"}
    only = [row | {"q": {"fr": row["q"]["fr"]}} for row in rows]
    with pytest.raises(UserError, match="strategy x-x-mono: no question is asked and answered in one language"):
        LanguageBatchSampler(Strategy("x-x-mono"), pairs_of(only), 4)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(UserError, match="one value a row each"):
        Pairs.listed(["a"], ["de", "en"], ["en"], ["x"])


def test_equal_texts_are_a_conflict_in_whatever_languages():
    rows = [{"id": str(n), "q": {"en": f"q{n}", "de": f"f{n}"}, "p": {"en": f"p{n}", "de": f"d{n}"}} for n in range(3)]
    rows[1]["p"]["de"] = "p0"  # as the English answer of question 0
    rows[2]["p"]["de"] = "d0"  # as the German answer of question 0
    answers = pairs_of(rows).answers
    assert set(answers[0]) & set(answers[1])  # a name, or a number
    assert set(answers[0]) & set(answers[2])
    assert not set(answers[1]) & set(answers[2])


def test_conflicts_that_were_avoided_are_counted():
    free, shared = pairs_of(synthetic.rows(12)), pairs_of(synthetic.rows(12, passages=4))
    assert not LanguageBatchSampler(Strategy("x-y"), free, 4).log(30)["avoided"].any()
    assert LanguageBatchSampler(Strategy("x-y"), shared, 4).log(30)["avoided"].sum() > 0


# --- order ---


@settings(max_examples=25, deadline=None)
@given(strategy=st.sampled_from(STRATEGIES), seed=st.integers(0, 2**31), epoch=st.integers(0, 50))
def test_the_order_is_a_pure_function_of_seed_and_epoch(strategy, seed, epoch):
    pairs = pairs_of(synthetic.rows(40))

    def order(seed: int, epoch: int, before: int = 0) -> list:
        sampler = LanguageBatchSampler(strategy, pairs, 8, seed)
        for earlier in range(before):
            sampler.set_epoch(earlier)
            list(sampler)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(seed, epoch) == order(seed, epoch) == order(seed, epoch, before=2)
    assert order(seed, epoch) != order(seed, epoch + 1)
    assert order(seed, epoch) != order(seed + 1, epoch)


@pytest.mark.parametrize(("alpha", "name"), [(1.0, "x-x-mono"), (0.0, "x-y")])
def test_hybrid_at_its_ends_gives_the_very_batches_of_the_pure_strategies(alpha, name):
    pairs = pairs_of(synthetic.rows(90, passages=70))
    for seed in range(3):
        hybrid = LanguageBatchSampler(Strategy("hybrid", alpha), pairs, 8, seed)
        pure = LanguageBatchSampler(Strategy(name), pairs, 8, seed)
        for epoch in range(3):
            assert list(hybrid.batches(epoch)) == list(pure.batches(epoch))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.label)
def test_in_an_epoch_of_a_parallel_set_every_question_comes_up(strategy):
    pairs = pairs_of(synthetic.rows(40))
    question, _, _ = index(pairs)
    for size in (8, 7):  # 7 does not divide 40: the last batch takes two from the next round
        rows = [row for batch in LanguageBatchSampler(strategy, pairs, size) for row in batch]
        counts = np.bincount(question[rows], minlength=40)
        assert counts.min() == 1
        assert counts.sum() == math.ceil(40 / size) * size


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.9])
def test_the_share_of_monolingual_batches_is_alpha_and_languages_are_drawn_uniformly(alpha):
    batches = LanguageBatchSampler(Strategy("hybrid", alpha), pairs_of(synthetic.rows(40)), 8).log(2000)
    mono = batches[batches["kind"] == "mono"]
    assert abs(len(mono) - 2000 * alpha) < 4 * math.sqrt(2000 * alpha * (1 - alpha))  # four standard deviations
    each = mono["languages"].value_counts()
    assert set(each.index) == {"de>de:8", "en>en:8", "zh>zh:8"}
    assert (abs(each - len(mono) / 3) < 4 * math.sqrt(len(mono) * 2 / 9)).all()


# --- several processes ---


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.label)
def test_two_processes_work_on_batches_of_one_kind_and_language_without_conflict(strategy):
    from accelerate.data_loader import BatchSamplerShard

    rows = synthetic.rows(90, passages=60)
    pairs = pairs_of(rows)
    question, asked, answered = index(pairs)
    sampler = LanguageBatchSampler(strategy, pairs, 8, seed=1, processes=2)
    shards = [list(BatchSamplerShard(sampler, num_processes=2, process_index=rank)) for rank in (0, 1)]
    assert len(shards[0]) == len(shards[1]) == math.ceil(90 / 16)
    assert len(sampler) == len(list(sampler)) == 2 * len(shards[0])
    for one, other, batch in zip(*shards, sampler.batches(0), strict=True):
        assert one + other == batch.rows and len(one) == len(other) == 8
        both = np.array(one + other)
        if batch.kind in ("mono", "en-en"):
            assert len(set(asked[both]) | set(answered[both])) == 1
        elif batch.kind == "cross":
            assert (asked[both] != answered[both]).all()
        assert len({n % 60 for n in question[both]}) == 16


# --- log and description ---


def test_the_log_is_what_iterating_yields():
    pairs = pairs_of(synthetic.rows(30))
    _, asked, answered = index(pairs)
    sampler = LanguageBatchSampler(Strategy("hybrid", 0.5), pairs, 8, seed=3)
    log = sampler.log(10)  # 4 batches an epoch: two epochs and a half
    assert log["step"].tolist() == list(range(1, 11))
    assert log["epoch"].tolist() == [0] * 4 + [1] * 4 + [2] * 2
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen += list(sampler)
    for batch, counts in zip(seen, log["languages"], strict=False):
        names = [f"{pairs.languages[asked[row]]}>{pairs.languages[answered[row]]}" for row in batch]
        assert counts == " ".join(f"{name}:{names.count(name)}" for name in sorted(set(names)))


def test_the_description_says_how_batches_are_made():
    sampler = LanguageBatchSampler(Strategy("x-y"), pairs_of(synthetic.rows(30)), 8, seed=3, processes=2)
    assert sampler.describe() == {
        "strategy": "x-y", "alpha": 0.0, "batch_size": 8, "processes": 2, "seed": 3, "version": 2,
        "languages": ["de", "en", "zh"], "questions": 30, "pairs": 270,
    }  # fmt: skip


def test_labels_tell_alphas_apart():
    assert [s.label for s in STRATEGIES] == ["x-x-mono", "x-y", "hybrid-0.5", "x-x", "en-en"]


# --- the two versions of the order ---

# SHA-256 of the rows of two epochs, taken before there was a second version.
FIRST_VERSION = {
    "x-x-mono": "21001ef51255c992",
    "x-y": "22bcece9358f0631",
    "hybrid-0.5": "30fc6962a380196c",
    "x-x": "fc6fda889a0d0c29",
    "en-en": "332c4a49405f1938",
}


def test_version_1_gives_the_batches_of_the_published_trainings_bit_for_bit():
    rows = synthetic.rows(50, passages=31)
    for row in rows[::3]:
        row["q"].pop("zh")
    pairs = pairs_of(rows)
    for strategy in STRATEGIES:
        sampler = LanguageBatchSampler(strategy, pairs, 4, seed=3, version=1)
        found = [batch.rows for epoch in (0, 1) for batch in sampler.batches(epoch)]
        digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]
        assert digest == FIRST_VERSION[strategy.label], strategy.label


@given(questions=st.integers(12, 40), size=st.integers(2, 4), seed=st.integers(0, 9), epoch=st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_all_strategies_of_a_seed_meet_the_questions_in_one_order(questions, size, seed, epoch):
    pairs = pairs_of(synthetic.rows(questions))  # fully parallel, no two answers alike: no batch has to pass one over
    question, _, _ = index(pairs)
    orders = {
        tuple(
            question[row]
            for rows in LanguageBatchSampler(strategy, pairs, size, seed).batches(epoch)
            for row in rows.rows
        )
        for strategy in STRATEGIES
    }
    assert len(orders) == 1


@given(seed=st.integers(0, 99), alpha=st.sampled_from([0.25, 0.5, 0.75]))
@settings(max_examples=30, deadline=None)
def test_languages_of_monolingual_batches_come_in_rounds(seed, alpha):
    pairs = pairs_of(synthetic.rows(60))
    _, asked, _ = index(pairs)
    batches = LanguageBatchSampler(Strategy("hybrid", alpha), pairs, 4, seed).batches(0)
    languages = [asked[batch.rows[0]] for batch in batches if batch.kind == "mono"]
    rounds = [languages[start : start + 3] for start in range(0, len(languages), 3)]
    assert all(len(set(one)) == len(one) for one in rounds)


def test_each_version_draws_the_same_kinds():
    pairs = pairs_of(synthetic.rows(60))
    kinds = [
        [batch.kind for batch in LanguageBatchSampler(Strategy("hybrid", 0.5), pairs, 4, seed=1, version=n).batches(0)]
        for n in (1, 2)
    ]
    assert kinds[0] == kinds[1] and len(set(kinds[0])) == 2


def test_an_unknown_version_is_refused():
    with pytest.raises(UserError, match="sampler: version must be 1 or 2, not 3"):
        LanguageBatchSampler(Strategy("x-y"), pairs_of(synthetic.rows(30)), 4, version=3)


@given(seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_cross_lingual_pairs_can_be_drawn_for_a_whole_batch(seed):
    pairs = pairs_of(synthetic.rows(60))
    _, asked, answered = index(pairs)
    batches = list(LanguageBatchSampler(Strategy("x-y", cross="batch"), pairs, 4, seed).batches(0))
    drawn = [set(zip(asked[batch.rows], answered[batch.rows], strict=True)) for batch in batches]
    assert all(len(one) == 1 for one in drawn)
    assert len(set.union(*drawn[:6])) == 6  # of three languages, each ordered pair once before any comes again


def test_another_unit_of_drawing_is_refused():
    with pytest.raises(UserError, match="strategy x-y: cross must be row or batch, not page"):
        Strategy("x-y", cross="page")


# --- mistakes ---


def test_an_unknown_strategy_is_answered_with_those_there_are():
    with pytest.raises(UserError, match="'hybird' does not exist; choose x-x-mono, x-y, hybrid, x-x or en-en"):
        Strategy("hybird")


@pytest.mark.parametrize("alpha", [None, -0.1, 1.1, math.nan, "0.5"])
def test_an_alpha_that_is_no_share_is_refused(alpha):
    with pytest.raises(UserError, match="strategy hybrid: alpha must be a number from 0 to 1, not"):
        Strategy("hybrid", alpha)


def test_english_batches_need_english():
    with pytest.raises(UserError, match="en-en needs English"):
        LanguageBatchSampler(Strategy("en-en"), pairs_of(synthetic.rows(20, ["de", "zh"])), 4)


@pytest.mark.parametrize("code", ["en", "EN", "eng"])
def test_english_is_english_however_its_code_is_written(code):
    numbers = [str(n) for n in range(12)]
    languages = ["de"] * 12 + [code] * 12
    pairs = Pairs.listed(numbers * 2, languages, languages, [f"p{n}" for n in range(24)])
    for _, batch in LanguageBatchSampler(Strategy("en-en"), pairs, 4).first(6):
        assert min(batch.rows) >= 12


@pytest.mark.parametrize(("name", "size"), [("batch_size", 0), ("batch_size", 2.5), ("processes", -1)])
def test_a_size_that_is_no_whole_number_above_0_is_refused(name, size):
    sizes = {"batch_size": 4, "processes": 1} | {name: size}
    with pytest.raises(UserError, match=f"sampler: {name} must be a whole number above 0, not {size}"):
        LanguageBatchSampler(Strategy("x-y"), pairs_of(synthetic.rows(20)), **sizes)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.label)
def test_a_batch_that_cannot_be_filled_is_refused_at_once(strategy):
    pairs = pairs_of(synthetic.rows(20, passages=5))
    LanguageBatchSampler(strategy, pairs, 5)
    with pytest.raises(UserError, match=f"strategy {strategy.name}: only 5 questions .* batch of 6; use a smaller"):
        LanguageBatchSampler(strategy, pairs, 6)
    with pytest.raises(UserError, match="batch of 8"):
        LanguageBatchSampler(strategy, pairs, 4, processes=2)


def test_a_language_with_too_few_questions_is_named():
    rows = synthetic.rows(20)
    for row in rows[3:]:
        del row["q"]["zh"]
    with pytest.raises(UserError, match=r"only 3 questions \(zh\)"):
        LanguageBatchSampler(Strategy("hybrid", 0.5), pairs_of(rows), 4)


def test_cross_lingual_batches_need_two_languages():
    with pytest.raises(UserError, match="strategy x-y needs training data in at least two languages"):
        LanguageBatchSampler(Strategy("x-y"), pairs_of(synthetic.rows(20, ["en"])), 4)


def test_a_data_set_that_was_not_made_from_the_pairs_is_refused():
    sampler = Strategy("x-y").sampler(pairs_of(synthetic.rows(20)))
    with pytest.raises(UserError, match="the data set has 3 rows, the pairs 180"):
        sampler([1, 2, 3], batch_size=4)


def test_samplers_survive_pickling_since_the_trainer_saves_its_arguments():
    made = Strategy("hybrid", 0.5).sampler(pairs_of(synthetic.rows(20)))
    again = pickle.loads(pickle.dumps(made))
    assert list(again(range(180), batch_size=4, seed=1)) == list(made(range(180), batch_size=4, seed=1))


# --- the real MLQA-R ---


@pytest.mark.real_data
def test_real_batches_hold_no_conflict_and_use_all_languages(real_data):
    chosen = data.training_set("mlqa-r", data.LAREQA)
    pairs = Pairs.of(chosen)
    question, asked, answered = index(pairs)
    steps, alpha = 400, 0.5
    sampler = LanguageBatchSampler(Strategy("hybrid", alpha), pairs, 32)
    assert len(sampler) == math.ceil(904 / 32)
    for epoch in range(3):
        for batch in sampler.batches(epoch):
            texts = [p for q in question[batch.rows] for p in set(pairs.answers[q]) - {-1}]
            assert len(set(texts)) == len(texts) and len(set(question[batch.rows])) == 32
            assert (batch.kind == "cross") == (asked[batch.rows] != answered[batch.rows]).all()
    log = sampler.log(steps)
    mono = (log["kind"] == "mono").sum()
    assert abs(mono - steps * alpha) < 4 * math.sqrt(steps * alpha * (1 - alpha))
    assert {text.split(">")[0] for text in " ".join(log["languages"]).split()} == set(chosen.languages)


# --- what training really uses ---

ROWS = synthetic.rows(40, passages=36)
SETTINGS = ["learning_rate=0.1", "warmup_steps=2", "batch_size=8", "steps=13"]  # 5 batches an epoch


def tiny_encoder():
    return synthetic.encoder(text for row in ROWS for side in "qp" for text in row[side].values())


def fit(folder, strategy: Strategy, model, fail_at: int | None = None):
    """Train with `lib.training.fit`; returns its log, and the texts that the encoder was given, step by step."""
    vocabulary = {number: word for word, number in model.tokenizer.get_vocab().items()}
    seen: list[list[str]] = []

    def record(module, arguments) -> None:
        if not module.training:  # saving embeds an example
            return
        if len(seen) == 2 * (fail_at or 1_000):
            raise synthetic.Interrupted
        seen.append([vocabulary[number] for number in arguments[0]["input_ids"].tolist()])

    handle = model[0].register_forward_pre_hook(record)
    try:
        found = parallel.from_rows("made up", ROWS)
        log = training.fit(model, found, strategy, 7, config.load("smoke", SETTINGS).config, folder)
    finally:
        handle.remove()
    return log, list(zip(seen[::2], seen[1::2], strict=True))


def weights(model) -> np.ndarray:
    return model[0].embedding.weight.detach().numpy().copy()


def expected(strategy: Strategy, steps: int) -> list[tuple[list[str], list[str]]]:
    """Texts of each step's batch, straight from the sampler."""
    found = parallel.from_rows("made up", ROWS)
    pairs = Pairs.of(found)
    sampler = LanguageBatchSampler(strategy, pairs, 8, seed=7)
    rows = [batch.rows for epoch in range(steps) for batch in sampler.batches(epoch)][:steps]
    queries, passages = found.queries["text"], found.passages["text"]
    return [(queries[pairs.anchor[r]].tolist(), passages[pairs.positive[r]].tolist()) for r in rows]


def test_the_data_set_has_two_columns_and_looks_texts_up():
    found = parallel.from_rows("made up", ROWS)
    pairs = Pairs.of(found)
    dataset = training.as_dataset(found, pairs)
    assert dataset.column_names == ["anchor", "positive"]
    assert len(dataset) == len(pairs.anchor)
    row = int(pairs.row[3, 0, 2])  # question 3, German query, Chinese passage
    assert dataset[row] == {"anchor": "q3de", "positive": "p3zh"}


@pytest.mark.parametrize("strategy", [STRATEGIES[0], STRATEGIES[2]], ids=lambda s: s.label)
def test_the_trainer_uses_exactly_the_batches_of_the_log_over_several_epochs(strategy, tmp_path):
    log, seen = fit(tmp_path, strategy, tiny_encoder())
    assert seen == expected(strategy, 13)
    assert [step["step"] for step in log["steps"]] == list(range(1, 14))
    assert [step["epoch"] for step in log["steps"]] == [0] * 5 + [1] * 5 + [2] * 3
    assert all(step["loss"] > 0 for step in log["steps"])
    for (queries, passages), step in zip(seen, log["steps"], strict=True):
        names = [f"{q[-2:]}>{p[-2:]}" for q, p in zip(queries, passages, strict=True)]
        assert step["languages"] == " ".join(f"{name}:{names.count(name)}" for name in sorted(set(names)))
    assert log["batches"]["strategy"] == strategy.name


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The log and the weights of a training that nothing interrupted."""
    model = tiny_encoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "STEPS", 3)
        log, _ = fit(tmp_path_factory.mktemp("unbroken"), STRATEGIES[2], model)
    return log, weights(model)


@pytest.mark.parametrize("fail_at", [2, 4, 11])  # before any checkpoint, in the first epoch, in the third
def test_a_resumed_training_ends_as_an_unbroken_one(fail_at, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "STEPS", 3)
    with pytest.raises(synthetic.Interrupted):
        fit(tmp_path, STRATEGIES[2], tiny_encoder(), fail_at)
    model = tiny_encoder()
    log, seen = fit(tmp_path, STRATEGIES[2], model)
    done = fail_at // 3 * 3
    assert seen == expected(STRATEGIES[2], 13)[done:]
    assert log == unbroken[0]
    assert np.array_equal(weights(model), unbroken[1])


def test_a_training_that_ended_but_was_not_kept_ends_the_same_again(unbroken, tmp_path, monkeypatch):
    """Between its last checkpoint and the finished model a process can be killed, too."""
    monkeypatch.setattr(checkpoints, "STEPS", 3)
    fit(tmp_path, STRATEGIES[2], tiny_encoder())
    assert (tmp_path / "checkpoint-13").exists()
    model = tiny_encoder()
    log, _ = fit(tmp_path, STRATEGIES[2], model)
    assert log == unbroken[0]
    assert np.array_equal(weights(model), unbroken[1])


def test_a_damaged_checkpoint_is_passed_over(unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "STEPS", 3)
    with pytest.raises(synthetic.Interrupted):
        fit(tmp_path, STRATEGIES[2], tiny_encoder(), fail_at=8)
    newest = next((tmp_path / "checkpoint-6").rglob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "checkpoint-9").mkdir()  # as a kill in the middle of writing leaves it
    model = tiny_encoder()
    log, seen = fit(tmp_path, STRATEGIES[2], model)
    assert len(seen) == 10  # from step 3
    assert log == unbroken[0]
    assert np.array_equal(weights(model), unbroken[1])


def test_kinds_of_a_strategy_are_those_that_are_checked_before_training():
    assert sampling.BATCH_KINDS["hybrid"] == ("mono", "cross")
    draw = np.random.default_rng(0)
    for strategy in STRATEGIES:
        drawn = {strategy.kind(draw) for _ in range(50)}
        assert drawn == set(sampling.BATCH_KINDS.get(strategy.name, (strategy.name,)))
