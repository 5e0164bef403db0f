"""The benchmark of training: the arithmetic that it counts is the arithmetic that is done."""

import pytest
import synthetic
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import XLMRobertaConfig, XLMRobertaModel

from benchmarks import utilisation
from lib.base import config
from lib.data import sets as parallel
from lib.encoders import load as encoders


@pytest.mark.parametrize(("texts", "length"), [(1, 1), (3, 7), (2, 40)])
def test_what_a_step_needs_is_what_torch_counts_where_nothing_is_padded(texts, length):
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 40}
    shape = XLMRobertaConfig(vocab_size=50, max_position_embeddings=64, attn_implementation="eager", **sizes)
    model = XLMRobertaModel(shape, add_pooling_layer=False)
    with FlopCounterMode(display=False) as counted:
        model(torch.full((texts, length), 5)).last_hidden_state.sum().backward()
    assert utilisation.needed(shape, [length] * texts) == counted.get_total_flops()


def test_a_training_is_measured_over_the_tokens_of_its_texts(tmp_path):
    synthetic.write_transformer("xlm-r", tmp_path / "encoder")
    model = encoders.load(tmp_path / "encoder", "cpu")
    questions = parallel.from_rows("made up", synthetic.rows(40))
    settings = config.load("smoke", ["steps=8", "batch_size=8", "warmup_steps=0", "precision=float32"]).config
    found = utilisation.measure(model, questions, settings, tmp_path / "checkpoints")
    assert found["pairs a second"] == pytest.approx(8 / found["seconds a step"])
    texts = [*questions.queries["text"], *questions.passages["text"]]
    lengths = [len(tokens) for tokens in model.tokenizer(texts)["input_ids"]]
    assert 16 * min(lengths) <= found["tokens a step"] <= 16 * max(lengths)
    assert 0 <= found["padding"] < 1 and found["TFLOP/s"] > 0


def test_xlm_r_has_the_shape_that_is_measured():
    layers = 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert utilisation.needed(XLMRobertaConfig(), [100]) == 6 * (100 * layers + 12 * 2 * 768 * 100**2)
