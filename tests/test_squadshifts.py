"""Checkpoint choice: what the validation pairs are, and that the kept weights are those of the lowest loss."""

import pytest
import synthetic

from lib.base import config
from lib.data import sets as parallel
from lib.data.released import squadshifts as validation
from lib.training import checkpoints
from lib.training import fit as training
from lib.training.sampling import Strategy


@pytest.mark.parametrize(
    ("position", "wanted"),
    [(0, "One is here."), (11, "One is here."), (13, "Is two there?"), (30, "3.5 stays whole!"), (46, "End")],
)
def test_the_sentence_of_a_position(position, wanted):
    assert validation.sentence("One is here. Is two there?  3.5 stays whole! End", position) == wanted


def test_validation_pairs_are_questions_with_the_sentence_of_their_answer(real_data):
    validation.pairs.cache_clear()
    found = validation.pairs()
    assert len(found) == 3 * validation.PAIRS_PER_DOMAIN
    assert len({answer for _, answer in found}) > 0.98 * len(found)
    assert all(question and answer for question, answer in found)


@pytest.fixture
def overshooting(monkeypatch):
    """An encoder's words, training data and a configuration whose learning rate makes the validation loss rise soon."""
    rows = synthetic.rows(40)
    monkeypatch.setattr(validation, "pairs", lambda: [(row["q"]["en"], row["p"]["en"]) for row in rows[32:]])
    monkeypatch.setattr(checkpoints, "STEPS", 5)
    settings = ["checkpoint=validation", "steps=60", "batch_size=8", "learning_rate=0.5", "warmup_steps=1"]
    words = [text for row in rows for side in "qp" for text in row[side].values()]
    return words, parallel.from_rows("tiny", rows[:32]), config.load("smoke", settings).config


def test_the_weights_of_the_lowest_validation_loss_are_kept(overshooting, tmp_path):
    """With a learning rate that overshoots, the last step is not the best one; training ends early."""
    import torch
    from sentence_transformers import SentenceTransformer

    words, data, chosen = overshooting
    model = synthetic.encoder(words)
    start = model[0].embedding.weight.detach().clone()
    log = training.fit(model, data, Strategy("x-x"), 0, chosen, tmp_path / "checkpoints")
    losses = {int(step): loss for step, loss in log["validation"].items()}
    assert log["kept"] == min(losses, key=lambda step: (losses[step], step))
    assert list(losses) == list(range(5, 5 * len(losses) + 1, 5))
    assert len(log["steps"]) == max(losses)
    if max(losses) < 60:
        assert max(losses) - log["kept"] >= 5 * validation.PATIENCE
    assert not torch.equal(model[0].embedding.weight.detach(), start)
    best = SentenceTransformer(str(tmp_path / "checkpoints" / f"checkpoint-{log['kept']}"), device="cpu")
    assert torch.equal(model[0].embedding.weight.detach(), best[0].embedding.weight.detach())


def test_early_stopping_does_not_forget_when_it_is_interrupted(overshooting, tmp_path):
    words, data, chosen = overshooting

    def fit(folder, fail_at: int = 1000):
        model, calls = synthetic.encoder(words), []

        def count(module, arguments) -> None:
            calls.append(module.training)
            if sum(calls) > 2 * fail_at:
                raise synthetic.Interrupted

        model[0].register_forward_pre_hook(count)
        log = training.fit(model, data, Strategy("x-x"), 0, chosen, folder)
        return log, model[0].embedding.weight.detach()

    log, weights = fit(tmp_path / "unbroken")
    ended = max(map(int, log["validation"]))
    assert log["kept"] + 5 * validation.PATIENCE == ended < 60
    for broken_after in (log["kept"] + 2, ended - 2):
        folder = tmp_path / str(broken_after)
        with pytest.raises(synthetic.Interrupted):
            fit(folder, broken_after)
        for _ in range(2):  # the second time, it had ended
            again, found = fit(folder)
            assert again == log
            assert found.equal(weights)


def test_the_choice_is_part_of_what_a_model_is_made_from():
    last, best = (config.load("smoke", [f"checkpoint={way}"]).config for way in ("last", "validation"))
    assert "checkpoint" not in training.settings(last)
    assert training.settings(best)["checkpoint"] == "validation"
