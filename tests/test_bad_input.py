"""Each mistake is answered with one line, before any work: what, where, and what would be right.

One table of mistakes, made as a person would make them: by the command line, with files of their own.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic

from lib import __main__ as command
from lib.base import paths
from lib.base.errors import UserError
from lib.data import catalog as data
from lib.data.own import rows as own_rows
from lib.runs import cells, preflight
from lib.runs import open as runs
from lib.training.pairs import Pairs
from lib.training.sampling import Strategy

LANGUAGES = ("de", "en")
STEPS = ("steps=2", "batch_size=4", "warmup_steps=1", "strategies=[none,x-x-mono]")


def rows(split: str, questions: int = 12, languages: tuple[str, ...] = LANGUAGES) -> list[dict]:
    """Rows of two-word texts, all in one split."""
    made = [row | {"split": split} for row in synthetic.rows(questions, languages)]
    return [row | {s: {x: f"{t} {t}" for x, t in row[s].items()} for s in "qp"} for row in made]


def lines(*values: object) -> bytes:
    """Parallel JSONL: rows as JSON, or lines as they are."""
    return "".join((v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) + "\n" for v in values).encode()


@pytest.fixture(scope="module")
def masters(tmp_path_factory):
    """What is right: rows to train on and to be scored on, and two encoders, one static and one a transformer."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("masters")
    (folder / "train.jsonl").write_bytes(lines(*rows("train")))
    (folder / "test.jsonl").write_bytes(lines(*rows("test")))
    words = [word for row in rows("train") for s in "qp" for text in row[s].values() for word in text.split()]
    synthetic.encoder(words).save(str(folder / "static"), create_model_card=False)
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "where"])}
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=6, max_position_embeddings=32, **sizes)).save_pretrained(folder / "bert")
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder / "bert")
    return folder


@pytest.fixture
def place(masters, own_folders, monkeypatch):
    """A folder of a test's own with all that is right in it, no network, and no mirror."""
    shutil.copytree(masters, own_folders, dirs_exist_ok=True)
    (own_folders / "mirror").mkdir()
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(own_folders / "mirror"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    own_rows._rows_of.cache_clear()  # what it says of rows is said again
    own_rows._set_of.cache_clear()
    return own_folders


Mistake = Callable[[Path], list[str]]


def said(*arguments: str, profile: str = "smoke") -> Mistake:
    """The command line itself, on files that are right; ``HERE`` stands for their folder."""
    return lambda here: ["--profile", profile, *(text.replace("HERE", str(here)) for text in arguments)]


def changed(*overrides: str, more: tuple[str, ...] = ()) -> Mistake:
    """A run on files that are right, but for these overrides; ``HERE`` stands for their folder."""
    keys = {text.split("=")[0] for text in overrides}
    right = ("encoder=HERE/static", "train=HERE/train.jsonl", "eval=HERE/test.jsonl", *STEPS)
    kept = [text for text in right if text.split("=")[0] not in keys]
    return said(*(word for text in (*kept, *overrides) for word in ("--set", text)), *more)


def profile(content: bytes) -> Mistake:
    """A profile file of these bytes."""

    def make(here: Path) -> list[str]:
        (here / "configs").mkdir()
        (here / "configs" / "mine.yaml").write_bytes(content)
        return ["--profile", "mine"]

    return make


def file(content: bytes, key: str = "train", name: str = "mine.jsonl", more: str = "scale=20") -> Mistake:
    """A data file of these bytes, to be trained on or (``key`` eval) scored on."""

    def make(here: Path) -> list[str]:
        (here / name).write_bytes(content)
        return changed(f"{key}={here / name}", more)(here)

    return make


def row(**changes: object) -> Mistake:
    """A training file whose third row has these changes."""
    good = rows("train")
    return file(lines(*good[:2], good[2] | changes, *good[3:]))


def path(make: Callable[[Path], object]) -> Mistake:
    """Something at ``mine.jsonl`` that is no file to be read."""

    def arrange(here: Path) -> list[str]:
        make(here / "mine.jsonl")
        return changed("train=HERE/mine.jsonl")(here)

    return arrange


def encoder(source: str, damage: Callable[[Path], object], *overrides: str) -> Mistake:
    """An encoder's folder after this damage."""

    def make(here: Path) -> list[str]:
        damage(here / source)
        return changed(f"encoder={here / source}", *overrides)(here)

    return make


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names]


def edited(name: str, **values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | values))

    return edit


def weights(change: Callable[[object], None]) -> Callable[[Path], None]:
    """Change the first tensor of a folder's weights in place."""

    def edit(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        found = load_file(folder / "model.safetensors")
        change(found[min(found)].view(-1))
        save_file(found, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def pickled(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-4])


ROW = 'field \'q\' must map language codes to texts, such as {"en": "..."}'
ENGLISH = rows("train", languages=("en",))
TEST = rows("test")
MISTAKES: list[tuple[str, Mistake, tuple[str, ...]]] = [
    # the command line
    ("an option that is not there", said("--sett", "steps=1"), ("--sett", "--help")),
    ("an option without its value", said("--set"), ("--set", "expected one argument")),
    ("two options that exclude each other", said("--only", "01", "--from", "02"), ("--from", "--only")),
    ("a notebook that is not there", said("--only", "9"), ("notebook '9' does not exist", "01_data_prep")),
    ("a notebook to start from that is not there", said("--from", "7x"), ("notebook '7x' does not exist",)),
    ("cells that match nothing", changed(more=("--cells", "*_seed9")), ("--cells *_seed9", "one is static-own_none")),
    ("Ray without cells", changed(more=("--ray",)), ("--ray needs --cells",)),
    ("cells in a dry run", changed(more=("--cells", "*", "--dry-run")), ("--cells and --dry-run",)),
    ("finished, with nothing finished", changed(more=("--finished",)), ("no cell is finished yet",)),
    ("a table, and published", changed(more=("--table", "main", "--publish")), ("--table and --publish",)),
    ("a table, and cells", changed(more=("--table", "main", "--cells", "*")), ("--table and --cells",)),
    ("finished, and made anew", changed(more=("--finished", "--force")), ("--finished and --force",)),
    ("the facts corpus published", said("--publish"), ("facts corpus", "only runs on real data are published")),
    # profiles
    ("a profile that is not there", said(profile="tiny"), ("'tiny' does not exist; choose one of: smoke, default",)),
    ("an empty profile", profile(b""), ("profile mine: configs/mine.yaml", "key: value")),
    ("a profile that is a list", profile(b"- steps\n- 3\n"), ("profile mine", "key: value")),
    ("a profile in Latin-1", profile("encoder: caf\xe9\n".encode("latin-1")), ("configs/mine.yaml", "UTF-8")),
    ("a profile with an unknown key", profile(b"stepz: 3\n"), ("profile mine", "encoder: ")),
    # --set
    ("a key without a value", changed("steps"), ("--set steps", "key=value")),
    ("an unknown key", changed("step=3"), ("--set step=3: no such key", "steps")),
    ("a key set twice", changed("scale=5", "scale=6"), ("scale is set twice", "scale=[one,two]")),
    ("a key with a line break", changed("st\neps=3"), ("no such key",)),
    ("zero steps", changed("steps=0"), ("steps: Input should be greater than 0 (it is 0)",)),
    ("no number", changed("learning_rate=fast"), ("learning_rate: ", "number", "(it is 'fast')")),
    ("NaN", changed("learning_rate=.nan"), ("learning_rate: ", "finite")),
    ("a scale that overflows", changed("scale=1e39"), ("scale: ", "less than or equal to 1000")),
    ("a list for one number", changed("steps=[1,2]"), ("steps: ", "integer", "(it is [1, 2])")),
    ("an object of Python", changed("steps=!!python/name:os.system"), ("--set steps=", "YAML")),
    ("an object of Python for a name", changed("train=!!python/name:os.system"), ("os.system", "does not exist")),
    ("an object of Python in a list", changed("train=[!!python/name:os.system x]"), ("data set 'x'", "does not exist")),
    ("a seed that is too large", changed("seeds=[4294967296]"), ("seeds.0: ", "less than 4294967296")),
    ("a seed twice", changed("seeds=[0,1,0]"), ("seeds: 0 occurs twice",)),
    ("a strategy twice", changed("strategies=[none,x-y,x-y]"), ("strategies: x-y occurs twice",)),
    ("an encoder without a name", changed('encoder=""'), ("encoder.0: ", "at least 1 character")),
    ("hybrid without an alpha", changed("strategies=[hybrid]", "alphas=[]"), ("alphas: ", "alphas=[0.5]")),
    ("two alphas of one name", changed("strategies=[hybrid]", "alphas=[.5,.50000000000001]"),
     ("alpha: 0.5 and 0.50000000000001", "hybrid-0.5_seed0")),
    ("an option with nothing after it", changed("steps=3", more=("--cells", "")), ("--cells: nothing is named after",)),
    ("a profile of no name", changed("steps=3", more=("--profile=",)), ("--profile: nothing is named after it",)),
    ("a key of profiles alone", changed("is_shown=true"), ("--set is_shown=true: only a profile says that",)),
    ("a cell to make anew, which none names", changed("replicate=foo"), ("--set replicate=foo: only a profile",)),
    ("no training set", changed("train=[]"), ("train: it must name a data set", "strategies=[none]")),
    ("none as a training set", changed("train=none"), ("train: it must name a data set",)),
    ("trained and scored on one file", changed("eval=HERE/train.jsonl"), ("eval names nothing but the training set",)),
    ("one file under two names", changed("eval=[HERE/./train.jsonl,HERE/test.jsonl]"), ("train.jsonl are one file",)),
    ("validation without its data", changed("checkpoint=validation"),
     ("checkpoint=validation needs squadshifts", "HYBRID_DATA_MIRROR", "checkpoint=last")),
    ("data that cannot be had", changed("train=xquad-r"), ("needs xquad-r", "HYBRID_DATA_MIRROR")),
    ("data of mirrors alone", changed("train=parallel-docs"), ("parallel-docs: data not obtainable",)),
    # names of data sets
    ("a data set that is not there", changed("train=mine"), ("data set 'mine' does not exist for training", "facts")),
    ("a set that is only for training", changed("eval=mmarco"), ("'mmarco' does not exist for evaluation", "xquad-r")),
    ("a set that is only for evaluation", changed("train=facts-new"), ("'facts-new' does not exist for training",)),
    ("a file named as a set of ours", file(lines(*TEST), "eval", "xquad-r.jsonl"),
     ("another data set called xquad-r", "give the file another name")),
    # files of one's own
    ("a file that is not there", changed("train=HERE/no.jsonl"), ("no.jsonl: no such file",)),
    ("a file that is elsewhere", changed("train=no.jsonl"), ("no.jsonl: no such file in /",)),
    ("a folder in place of a file", path(Path.mkdir), ("mine.jsonl: cannot be read (Is a directory)",)),
    ("a link to itself", path(lambda p: p.symlink_to(p)), ("mine.jsonl: cannot be read (Too many levels",)),
    ("an empty file", file(b""), ("mine.jsonl: holds no rows",)),
    ("a file of empty lines", file(b"\r\n\r\n"), ("mine.jsonl: holds no rows",)),
    ("broken JSON", file(lines(*rows("train")[:2], '{"id": "c", "q"')), ("mine.jsonl, line 3: not a JSON object",)),
    ("an array around the rows", file(json.dumps(rows("train")).encode()), ("mine.jsonl, row 1: not an object",)),
    ("JSON that is nested too deep", file(b"[" * 200_000), ("mine.jsonl, line 1: not a JSON object",)),
    ("a number of too many digits", file(b'{"id": ' + b"9" * 5000 + b"}"), ("line 1: not a JSON object",)),
    ("Latin-1", file('{"id": "caf\xe9"}\n'.encode("latin-1")), ("mine.jsonl", "save it as UTF-8")),
    ("UTF-16", file(lines(*rows("train")).decode().encode("utf-16")), ("mine.jsonl", "save it as UTF-8")),
    ("UTF-16 without its mark", file(lines(*rows("train")).decode().encode("utf-16-le")), ("line 1: not a JSON",)),
    ("gzip that is cut, under another name", file(b"\x1f\x8b\x08\0\0\0\0\0"), ("is it truncated?",)),
    ("gzip that is cut", file(b"\x1f\x8b\x08\0\0\0\0\0", name="mine.jsonl.gz"), ("is it truncated?",)),
    ("NUL in a text", row(q={"en": "wh\0y"}), ("row 3: field 'q', language 'en'", "U+0000", "another encoding")),
    ("half of a surrogate pair", file(lines('{"id": "a", "q": {"en": "\\ud83d"}, "p": {"en": "x"}}')),
     ("row 1: field 'q', language 'en'", "U+D83D")),
    ("such a half in an id", file(lines('{"id": "\\udc00"}')), ("row 1: field 'id'", "U+DC00")),
    ("other names of the fields", row(q=None, query={"en": "why"}), (f"row 3: {ROW}",)),
    ("a text without its language", row(q="why"), (f"row 3: {ROW}",)),
    ("no text at all", row(p={"en": " \n", "de": None}), ("row 3: field 'p' has a text that is not empty in no",)),
    ("a key twice", file(b'{"id": "1", "q": {"en": "a", "en": "b"}, "p": {"en": "c"}}'), ("line 1", "'en' occurs tw")),
    ("two texts of one language", row(q={"en": "why", "eng": "how"}), ("row 3: field 'q' has two texts in the language",
     "en, one of them under 'eng'")),
    ("a negative that is right elsewhere",
     file(lines(*({"id": str(n), "q": {"en": "why"}, "p": {"en": f"a{n}"}, "n": {"en": f"a{1 - n}"}} for n in (0, 1)))),
     ("row 1: field 'n': it is a text that answers the same question in another row",)),
    ("a number for a text", row(p={"en": 7}), ("row 3: field 'p', language 'en': must be a text",)),
    ("a title that is no text", row(title={"en": 7}), ("row 3: field 'title', language 'en': must be a text",)),
    ("an id twice", row(id="0"), ("row 3: field 'id': '0' occurs twice; ids must differ",)),
    ("an id that is a number", row(id=3), ("row 3: field 'id' must be a text",)),
    ("a whole book as a passage", row(p={"en": "word " * 250_000}), ("row 3", "1,250,000 characters")),
    ("the name of a language", row(q={"english": "why"}), ("row 3: field 'q', language 'english'", "such as en, zh")),
    ("a country's code for a language", row(q={"jp": "なぜ"}), ("row 3", "language 'jp': not a language code")),
    ("an empty language code", row(p={"": "why"}), ("row 3", "language '': not a language code")),
    ("a path as a language", row(p={"../en": "why"}), ("language '../en': not a language code",)),
    ("a split that is not there", row(split="valid"), ("row 3: field 'split': must be one of train, dev, test",)),
    # data that are right by themselves, but too few
    ("nothing to train on", file(lines(*TEST)), ("mine.jsonl: none of its questions is in the split train",)),
    ("a batch that cannot be filled", changed("batch_size=13"), ("only 12 questions (de) can share a batch of 13",)),
    ("one answer for all", file(lines(*(r | {"p": TEST[0]["p"]} for r in rows("train")))), ("only 1 questions",)),
    ("one language, and batches across them", file(lines(*ENGLISH), more="strategies=[x-y]"),
     ("mine.jsonl: strategy x-y needs", "two languages")),
    ("English batches without English", file(lines(*rows("train", languages=("de", "zh"))), more="strategies=[en-en]"),
     ("mine.jsonl: strategy en-en needs English",)),
    ("a test in one language", file(lines(*rows("test", languages=("en",))), "eval"), ("mine.jsonl", "translations")),
    ("a test without same-language pairs",
     file(lines(*({"id": r["id"], "q": {"de": r["q"]["de"]}, "p": {"en": r["p"]["en"]}} for r in TEST)), "eval"),
     ("mine.jsonl", "their own language")),
    ("a test of one question", file(lines(TEST[0]), "eval"), ("too few different", "de (1), en (1)", "5 at")),
    ("a language of one passage",
     file(lines(TEST[0] | {"p": TEST[0]["p"] | {"yo": "ọ̀rọ̀"}}, *TEST[1:]), "eval"), ("in yo (1): 5 at least in each",)),
    # encoders
    ("an encoder that is not there", changed("encoder=nothing"), ("unknown encoder 'nothing'", "e5-small-q4")),
    ("an encoder out of reach", changed("encoder=org/nothing"), ("org/nothing@main cannot be fetched", "connect once")),
    ("a folder of something else", changed("encoder=HERE"), ("no folder of an encoder", "nor config.json")),
    ("no tokenizer", encoder("bert", without("tokenizer.json")), ("bert holds no tokenizer", "tokenizer.json")),
    ("no tokenizer, static", encoder("static", without("tokenizer.json")), ("static holds no tokenizer",)),
    ("no weights", encoder("bert", without("model.safetensors")), ("bert holds no safetensors weights",)),
    ("pickled weights", encoder("bert", pickled), ("bert holds no safetensors weights, only a pickle",)),
    ("pickled weights, static", encoder("static", pickled), ("static holds no safetensors weights, only a pickle",)),
    ("weights cut short", encoder("static", cut("model.safetensors")), ("static cannot be read as an encoder",)),
    ("NaN weights", encoder("static", weights(lambda w: w[3:4].fill_(float("nan")))), ("static: the weights", "NaN")),
    ("infinite weights", encoder("bert", weights(lambda w: w[:1].fill_(float("inf")))), ("bert: the weights", "NaN")),
    ("settings that are no JSON", encoder("bert", cut("config.json")), ("bert cannot be read as an encoder",)),
    ("code of its own", encoder("bert", edited("config.json", model_type="my", auto_map={"AutoConfig": "my.Config"})),
     ("config.json names code of its own, my.Config",)),
    ("an origin of other keys", encoder("bert", lambda f: (f / "encoder.json").write_text('{"x": 1}'), "max_tokens=32"),
     ("bert", "encoder.json")),
    ("sums that overflow", encoder("static", weights(lambda w: w.fill_(3e38))), ("static, query 2 of 8", "NaN or inf")),
    ("texts longer than its places", encoder("bert", lambda folder: None), ("max_tokens: 128 is more than the 32",)),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_costs_one_line_and_no_work(mistake, words, place, monkeypatch, capsys):
    arguments = mistake(place)
    if (place / "configs").exists():
        monkeypatch.setattr(paths, "CONFIGS", place / "configs")
    for begun in ("train", "evaluate"):
        monkeypatch.setattr(cells, begun, lambda *ignored: pytest.fail("the work began"))
    monkeypatch.setattr(command, "execute", lambda *ignored: pytest.fail("the work began"))
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    said, _, mistake_told = error.rpartition("error: ")
    assert mistake_told.count("\n") == 1 and said.count("\n") == said.count("mine.jsonl: 11 rows with an answer that")
    assert [word for word in words if word not in error] == [], error
    assert left(place) == []


def left(place: Path) -> list[Path]:
    """Files of results or of the store; empty locks do not count."""
    found = [path for folder in ("results", "store") for path in (place / folder).rglob("*")]
    return [path for path in found if path.is_file() and path.suffix != ".lock"]


def test_the_files_that_the_mistakes_are_made_in_are_right(place, capsys):
    for name in ("static", "bert"):
        arguments = changed(f"encoder=HERE/{name}", "max_tokens=32", more=("--dry-run",))(place)
        assert command.main(arguments) == 0, capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + lines(*TEST), lines(*TEST).replace(b"\n", b"\r\n\r\n")])
def test_a_byte_order_mark_and_line_ends_of_windows_change_nothing(content, place):
    right = data.evaluation_set(str(place / "test.jsonl"))
    (place / "other").mkdir()
    (place / "other" / "test.jsonl").write_bytes(content)
    assert data.evaluation_set(str(place / "other" / "test.jsonl")).digest == right.digest


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*_none", ("test.jsonl, query 1 of 24 ('q0de q0de')", "NaN or infinity", "23 more", "float32")),
        (
            "*_x-x-mono_*",
            ("training on", "train.jsonl, x-x-mono, step 1: the loss is nan", "learning_rate (it is 0.004)"),
        ),
    ],
)
def test_numbers_that_are_none_stop_the_work_in_one_line_and_leave_nothing(pattern, words, place, capsys):
    weights(lambda w: w[8:].fill_(3e38))(place / "static")  # finite, but the sum of two is not; all but unknown words
    assert command.main(changed(more=("--cells", pattern))(place)) == 2
    error = capsys.readouterr().err
    said, _, mistake_told = error.rpartition("error: ")
    assert mistake_told.count("\n") == 1 and said.count("\n") == said.count("mine.jsonl: 11 rows with an answer that")
    assert [word for word in words if word not in error] == [], error
    assert left(place) == []


def test_a_batch_that_cannot_be_filled_a_hundred_steps_on_is_told_before_the_first(own_folders):
    """Of ten questions in Swahili one shares its answers with three, in three languages: with it in a batch of eight,
    there may be too few others, which hangs on the order that a seed gives."""
    languages = ["de", "en", "tr", "sw"]
    many = [row | {"id": f"b{row['id']}"} for row in synthetic.rows(40, languages[:3])]
    few = [
        {"id": f"s{n}", **{side: {x: f"{side} sw {n} {x}" for x in languages} for side in "qp"}} for n in range(10)
    ]
    for number, language in enumerate(languages[:3]):
        few[number]["p"][language] = few[-1]["p"][language]
    path = own_folders / "late.jsonl"
    path.write_bytes(lines(*(row | {"split": "train"} for row in many + few)))
    changes = [f"train={path}", "eval=[facts]", "strategies=[x-x-mono]", "batch_size=8", "steps=300"]
    changes.append("seeds=[0,1,2,3,4,5]")
    run = runs.open_run("smoke", changes)
    pairs = Pairs.of(data.training_set(str(path), run.config.eval))
    assert Strategy("x-x-mono").sampler(pairs)(pairs.anchor, batch_size=8, seed=0)  # which a look at one batch passes
    with pytest.raises(UserError, match=r"late\.jsonl: strategy x-x-mono: only 7 questions \(sw\)"):
        preflight.work(run, cells.missing(run))
