"""What is promised of the sampler in somebody's own script: any columns, an eval data set, several data sets."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from lib.base.errors import UserError
from lib.data import sets as parallel
from lib.training import fit, sampling
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

LANGUAGES = ("de", "en", "tr")


def listed(questions=24, start=0):
    """Questions, query languages, queries, passage languages and passages, one row a pair of languages."""
    rows = synthetic.rows(questions, LANGUAGES)
    made = [
        (f"{start}-{row['id']}", asked, row["q"][asked], answered, f"{start} {row['p'][answered]}")
        for row in rows for asked in LANGUAGES for answered in LANGUAGES
    ]  # fmt: skip
    return [list(column) for column in zip(*made, strict=True)]


def pairs_of(columns, take=list):
    return Pairs.listed(*(take(columns[number]) for number in (0, 1, 3, 4)))


def dataset_of(columns):
    from datasets import Dataset

    return Dataset.from_dict({"anchor": columns[2], "positive": columns[4]})


@pytest.fixture
def trainer(tmp_path):
    """A function that makes sentence-transformers' own trainer, with a tiny model."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    def make(sampler, train, evaluated=None, **more):
        model = synthetic.encoder([text for column in (2, 4) for text in listed()[column]])
        arguments = SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path / "trained"), max_steps=6, per_device_train_batch_size=6, batch_sampler=sampler,
            save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, **more,
        )  # fmt: skip
        loss = MultipleNegativesRankingLoss(model, scale=20)
        return SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=train, eval_dataset=evaluated, loss=loss
        )

    return make


def test_the_sampler_is_a_kind_of_sentence_transformers_own():
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import BatchSampler

    assert issubclass(sampling.LanguageBatchSampler, DefaultBatchSampler)
    pairs = pairs_of(listed())
    made = Strategy("hybrid", 0.5).sampler(pairs)(pairs.anchor, batch_size=6, seed=3, drop_last=True, generator=None)
    assert type(made) is sampling.LanguageBatchSampler and isinstance(made, BatchSampler)
    assert list(made) == list(sampling.LanguageBatchSampler(Strategy("hybrid", 0.5), pairs, 6, seed=3))
    assert len(made) == len(list(made)) == 4 and made.batch_size == 6
    with pytest.raises(AttributeError, match="no attribute Sampler"):
        sampling.Sampler  # noqa: B018


@pytest.mark.parametrize(
    "take",
    [
        tuple,
        np.array,
        lambda column: np.array(column, object),
        pd.Series,
        lambda column: pd.Series(column, index=range(len(column), 0, -1)),
        lambda column: pd.DataFrame({"c": ["x", *column]}).iloc[1:]["c"],
        pd.Categorical,
        lambda column: pd.Series(column, dtype="category"),
        lambda column: pd.Series(column, dtype="string"),
        iter,
    ],
    ids=["tuple", "array", "objects", "series", "index", "filtered", "categorical", "category", "string", "iterator"],
)
def test_columns_of_any_kind_give_the_same_pairs(take):
    wanted, found = pairs_of(listed()), pairs_of(listed(), take)
    for name in ("languages", "row", "anchor", "positive", "answers", "texts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


@pytest.mark.parametrize("nothing", [None, float("nan"), 7])
@pytest.mark.parametrize(("column", "name"), [(1, "query_languages"), (3, "passage_languages"), (4, "passages")])
def test_a_row_without_a_value_is_refused_with_its_number(column, name, nothing):
    columns = listed()
    columns[column][4] = nothing
    with pytest.raises(UserError, match=f"row 5: {name} has no text"):
        pairs_of(columns)


def test_a_language_in_two_spellings_is_refused():
    columns = listed()
    columns[1] = [x.upper() if x == "en" else x for x in columns[1]]
    with pytest.raises(UserError, match="'EN' and 'en' are one language"):
        pairs_of(columns)


@pytest.mark.parametrize(("code", "other"), [("en", "eng"), ("de", "deu"), ("de", "ger")])
def test_a_language_by_its_codes_of_two_and_of_three_letters_is_refused(code, other):
    columns = listed()
    columns[3] = [other if x == code else x for x in columns[3]]
    with pytest.raises(UserError, match=f"'{code}' and '{other}' are one language; write it in one way"):
        pairs_of(columns)
    columns[1] = [other if x == code else x for x in columns[1]]
    assert other in pairs_of(columns).languages


def test_passages_that_differ_in_unicode_form_alone_are_one_answer():
    rows = [("a", "fr", "q", "fr", "caf\u00e9"), ("b", "fr", "r", "fr", "cafe\u0301 "), ("c", "fr", "s", "fr", "cafe")]
    answers = pairs_of([list(column) for column in zip(*rows, strict=True)]).answers
    assert answers[0, 0] == answers[1, 0] != answers[2, 0]


def test_an_eval_data_set_is_scored_in_the_trainer_s_own_batches(trainer):
    columns = listed()
    train = dataset_of(columns)
    sampler = Strategy("hybrid", 0.5).sampler(pairs_of(columns))
    run = trainer(sampler, train, train.select(range(40)), eval_strategy="steps", eval_steps=3)
    assert np.isfinite(run.evaluate()["eval_loss"])
    run.train()
    assert [entry["step"] for entry in run.state.log_history if "eval_loss" in entry] == [3, 6]
    seen = sorted(row for batch in run.get_eval_dataloader().batch_sampler for row in batch)
    assert seen == list(range(40))


def test_of_several_data_sets_each_is_batched_by_its_own_pairs(trainer, capsys):
    one, two = listed(24), listed(18, start=1)
    sets = {"one": dataset_of(one), "two": dataset_of(two), "none": dataset_of(listed(10, start=2))}
    run = trainer(Strategy("x-x-mono").sampler([pairs_of(two), pairs_of(one)]), sets)
    run.train()
    batches = run.get_train_dataloader()
    while not hasattr(batches, "batch_samplers"):
        batches = batches.batch_sampler
    first, second, third = batches.batch_samplers
    kinds = [type(part).__name__ for part in (first, second, third)]
    assert kinds == ["LanguageBatchSampler", "LanguageBatchSampler", "DefaultBatchSampler"]
    assert (len(first.pairs.row), len(second.pairs.row)) == (24, 18)
    before = list(first)
    batches.set_epoch(1)
    assert list(first) != before
    assert "a data set of 90 rows has no pairs: its batches are drawn at random" in capsys.readouterr().err


def test_a_data_set_that_was_shuffled_since_is_refused(trainer):
    columns = listed()
    run = trainer(Strategy("x-y").sampler(pairs_of(columns)), dataset_of(columns).shuffle(seed=1))
    with pytest.raises(UserError, match="has other texts than the pairs: make it from them, in their order"):
        run.train()


def test_pairs_of_a_parallel_set_know_their_data_set_and_refuse_it_shuffled():
    made = parallel.from_rows("made up", synthetic.rows(24, LANGUAGES))
    pairs = Pairs.of(made)
    sampler = Strategy("x-y").sampler(pairs)
    dataset = fit.as_dataset(made, pairs)
    assert len(sampler(dataset, batch_size=6).log(1)) == 1
    with pytest.raises(UserError, match="has other texts than the pairs"):
        sampler(dataset.shuffle(seed=1), batch_size=6)


def test_rows_that_changed_places_among_those_of_one_passage_are_refused_where_queries_are_given():
    columns = listed()
    known = Pairs.listed(*(columns[number] for number in (0, 1, 3, 4)), queries=columns[2])
    dataset = dataset_of(columns).sort(["positive", "anchor"])
    order = sorted(range(len(columns[0])), key=lambda n: columns[4][n])  # as the passages stand, the questions do not
    moved = [[column[n] for n in order] for column in columns]
    mixed = [*moved[:2], [moved[2][n ^ 1] for n in range(len(order))], *moved[3:]]
    sampler = Strategy("x-y").sampler
    assert sampler(known)(dataset_of(columns), batch_size=6).log(1)["kind"].tolist() == ["cross"]
    with pytest.raises(UserError, match="has other texts than the pairs"):
        sampler(known)(dataset, batch_size=6)
    by_passages = Pairs.listed(*(moved[number] for number in (0, 1, 3, 4)))
    assert sampler(by_passages)(dataset_of(mixed), batch_size=6)  # nobody can tell
    by_both = Pairs.listed(*(moved[number] for number in (0, 1, 3, 4)), queries=moved[2])
    with pytest.raises(UserError, match="make it from them, in their order"):
        sampler(by_both)(dataset_of(mixed), batch_size=6)


def test_each_epoch_has_its_own_batches_also_where_batches_are_dispatched(trainer):
    columns = listed()
    seen = {}
    for dispatched in (False, True):
        run = trainer(Strategy("hybrid", 0.5).sampler(pairs_of(columns)), dataset_of(columns),
                      accelerator_config={"dispatch_batches": dispatched})  # fmt: skip
        loader = run.get_train_dataloader()
        seen[dispatched] = []
        for epoch in range(2):
            loader.set_epoch(epoch)
            seen[dispatched].append([batch["anchor_input_ids"].tolist() for batch in loader])
    assert seen[True] == seen[False] and seen[True][0] != seen[True][1]


def test_a_data_set_with_the_passages_of_several_pairs_is_refused():
    """Here those of one ask in the passage's language, those of the other in another."""
    following = {"de": "en", "en": "tr", "tr": "de"}
    own = [(str(n), x, f"q{n}{x}", x, f"p{n}{x}") for n in range(20) for x in LANGUAGES]
    cross = [(str(n), following[x], f"q{n}{following[x]}", x, f"p{n}{x}") for n in range(20) for x in LANGUAGES]
    orders = [[list(column) for column in zip(*rows, strict=True)] for rows in (cross + own, own + cross)]
    sampler = Strategy("x-x-mono").sampler([pairs_of(columns) for columns in orders])
    with pytest.raises(UserError, match="several pairs have the passages of this data set of 120 rows"):
        sampler(dataset_of(orders[1]), batch_size=6)
    alone = Strategy("x-x-mono").sampler([pairs_of(orders[1])] * 2)(dataset_of(orders[1]), batch_size=6)
    assert alone.log(1)["languages"][0].count(">") == 1


def test_a_data_set_to_evaluate_that_is_the_one_to_train_on_gets_the_trainer_s_own_batches(trainer):
    columns = listed()
    train = dataset_of(columns)
    run = trainer(Strategy("hybrid", 0.5).sampler(pairs_of(columns)), train, train, per_device_eval_batch_size=8)
    evaluated = run.get_eval_dataloader()
    assert len(evaluated) == len(train) // 8 and not isinstance(evaluated.batch_sampler, sampling.LanguageBatchSampler)


def test_several_data_sets_are_refused_where_nobody_tells_them_the_epoch(trainer, monkeypatch):
    from lib.training import trainer_sampler

    monkeypatch.delattr(trainer_sampler.MultiDatasetDefaultBatchSampler, "set_epoch")
    one, two = listed(), listed(start=1)
    run = trainer(
        Strategy("hybrid", 0.5).sampler([pairs_of(one), pairs_of(two)]), {"a": dataset_of(one), "b": dataset_of(two)}
    )
    with pytest.raises(UserError, match="several data sets: this version of sentence-transformers does not tell them"):
        run.train()


def test_ids_that_are_numbers_here_and_texts_there_are_refused():
    columns = listed()
    columns[0] = [*range(len(columns[0]) - 1), "7"]
    with pytest.raises(UserError, match="questions are texts here .'7'. and numbers elsewhere"):
        pairs_of(columns)


@pytest.mark.parametrize("name", ["negative", "language"])
def test_a_column_that_would_be_taken_for_negatives_is_refused(name, trainer):
    columns = listed()
    data = dataset_of(columns).add_column(name, [f"{text}, no" for text in columns[4]])
    with pytest.raises(UserError, match=f"column '{name}' would reach the loss as negatives"):
        trainer(Strategy("hybrid", 0.5).sampler(pairs_of(columns)), data).get_train_dataloader()
    trainer(Strategy("hybrid", 0.5).sampler(pairs_of(columns)), data.remove_columns(name)).get_train_dataloader()
