"""Profiles load, a run's name follows from what it does, and each mistake is answered with one clear line."""

import json

import pytest

from lib.base import config, paths
from lib.base.errors import UserError


@pytest.mark.parametrize("profile", config.profiles())
def test_each_profile_loads_and_survives_a_round_trip_through_json(profile):
    run = config.load(profile)
    assert run.name == profile
    assert run.folder == paths.results() / profile
    assert config._checked(config.as_dict(run.config), "round trip") == run.config


def test_the_profiles_are_listed_from_small_to_large():
    assert config.profiles() == ["smoke", "default", "quick", "full", "paper"]


def test_the_default_profile_is_all_of_full_and_trains_nothing_but_a_replication():
    shown, full = config.load("default").config, config.load("full").config
    assert config.replace(shown, is_shown=False, replicate=()) == full
    assert shown.is_shown and shown.replicate and not full.is_shown


def test_the_quick_profile_trains_in_both_directions():
    main = config.load("quick").config
    assert (main.encoder, main.train, main.eval) == (("use-m",), ("mlqa-r", "xquad-r"), ("xquad-r", "mlqa-r"))
    assert main.strategies == ("none", "x-x-mono", "x-y", "hybrid")
    assert (main.alphas, main.seeds, main.steps, main.batch_size) == ((0.5,), (0,), 80, 32)
    assert (main.learning_rate, main.warmup_steps, main.scale, main.max_tokens) == (3e-5, 10, 20, 128)
    assert not main.train_word_vectors


# --- overrides ---


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("steps=10", "steps", 10),
        ("learning_rate=1e-4", "learning_rate", 1e-4),  # YAML itself reads 1e-4 as a text
        ("learning_rate=3.0e-5", "learning_rate", 3e-5),
        ("weight_decay=.5", "weight_decay", 0.5),
        ("dropout=0", "dropout", 0),
        ("dropout=null", "dropout", None),
        ("scale=15", "scale", 15),
        ("scale=1_000", "scale", 1000),
        ("steps=1_000", "steps", 1000),
        ("train_word_vectors=yes", "train_word_vectors", True),
        ("seeds=[0,1]", "seeds", (0, 1)),
        ("seeds=3", "seeds", (3,)),
        ("train=my.jsonl", "train", ("my.jsonl",)),
        ("strategies=[none, x-y]", "strategies", ("none", "x-y")),
        ("train_word_vectors=true", "train_word_vectors", True),
        ("encoder=org/name@main", "encoder", ("org/name@main",)),
        ("encoder=[use-m, static]", "encoder", ("use-m", "static")),
    ],
)
def test_an_override_changes_its_key_and_nothing_else(override, field, value):
    before, after = config.load("smoke").config, config.load("smoke", [override]).config
    assert getattr(after, field) == value
    rest = {key: v for key, v in config.as_dict(before).items() if key != field}
    assert rest == {key: v for key, v in config.as_dict(after).items() if key != field}


ODD = ["enc # v2", "2024-05-01", "007", "no", "my #1.jsonl", "a: b.jsonl", "{x}.jsonl", "@x.jsonl", "~", "x]", "'tis"]


@pytest.mark.parametrize("key", ["encoder", "train", "eval"])
@pytest.mark.parametrize("name", ODD)
def test_a_name_is_taken_as_it_is_typed(key, name):
    for typed in (name, f" {name} ", json.dumps(name), json.dumps([name])):
        assert getattr(config.load("smoke", [f"{key}={typed}"]).config, key) == (name,)


def test_in_a_list_a_name_is_no_number_and_no_date():
    assert config.load("smoke", ["train=[007, 2024-05-01, no, 1e3, a b]"]).config.train == (
        "007", "2024-05-01", "no", "1e3", "a b",
    )  # fmt: skip


@pytest.mark.parametrize("typed", ["[my #1.jsonl]", "[a: b.jsonl]", "[{x}.jsonl]", "[@x.jsonl]", "[1] x.jsonl"])
def test_a_name_in_a_list_that_yaml_reads_otherwise_is_to_be_quoted(typed):
    message = mistake(f"train={typed}")
    assert 'in it, put a name with its signs into quotation marks: train=["my #1", other]' in message
    assert "\n" not in message


def test_a_name_that_yaml_read_as_it_is_typed_is_the_same_run_as_before():
    assert config.load("smoke", ["encoder=org/name@main"]).name == "smoke-4827c055"
    assert config.load("smoke", ["train=[a b.jsonl, facts]"]).name == "smoke-fa96d714"


def test_a_run_is_named_by_its_profile_and_eight_hex_digits_of_its_overrides():
    name = config.load("smoke", ["steps=10"]).name
    assert name.startswith("smoke-")
    assert len(name) == len("smoke-") + 8
    assert set(name.removeprefix("smoke-")) <= set("0123456789abcdef")


def test_the_order_and_spelling_of_overrides_do_not_matter_to_the_name_and_their_values_do():
    name = config.load("smoke", ["steps=10", "seeds=[1]"]).name
    assert config.load("smoke", ["seeds=[1]", "steps=10"]).name == name
    assert config.load("smoke", ["seeds=1", "steps= 10"]).name == name
    assert config.load("smoke", ["seeds=[1]", "steps=11"]).name != name
    assert config.load("smoke", ["seeds=[2]", "steps=10"]).name != name
    assert config.load("quick", ["seeds=[1]", "steps=10"]).name != name


def test_two_spellings_of_one_number_are_one_run():
    names = {config.load("smoke", [f"scale={text}"]).name for text in ("30", "30.0", "3e1", "3.0e+1")}
    assert len(names) == 1


def test_the_fallback_to_facts_has_a_name_of_its_own():
    run = config.load("quick").on_facts()
    assert run.name == "quick-facts"
    assert (run.config.train, run.config.eval) == (("facts",), config.FACTS)
    changed = config.load("quick", ["steps=10"])
    assert changed.on_facts().name == changed.name.replace("quick-", "quick-facts-")


# --- mistakes ---


def mistake(*overrides: str, profile: str = "quick") -> str:
    with pytest.raises(UserError) as caught:
        config.load(profile, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_profile_is_answered_with_those_there_are():
    message = mistake(profile="tiny")
    assert "'tiny'" in message
    assert all(name in message for name in config.profiles())


@pytest.mark.parametrize("text", ["steps", "=10", ""])
def test_an_override_without_key_or_value_is_answered_with_the_form(text):
    assert "key=value" in mistake(text)


def test_an_unknown_key_is_answered_with_the_keys():
    message = mistake("learning_ratee=3")
    assert "learning_ratee" in message
    assert "learning_rate," in message and "steps" in message


def test_a_value_that_is_not_yaml_is_named():
    assert "seeds=[0" in mistake("seeds=[0") and "YAML" in mistake("seeds=[0")


@pytest.mark.parametrize(
    ("override", "key", "allowed"),
    [
        ("steps=0", "steps", "greater than 0"),
        ("steps=1.5", "steps", "integer"),
        ("steps=many", "steps", "integer"),
        ("steps=true", "steps", "integer"),
        ("steps=", "steps", "integer"),
        ("steps=010", "steps", "integer (it is '010')"),  # which YAML itself takes for 8,
        ("steps=1:30", "steps", "integer (it is '1:30')"),  # 90,
        ("steps=0x10", "steps", "integer (it is '0x10')"),  # 16
        ("max_tokens=0512", "max_tokens", "integer (it is '0512')"),  # and 330
        ("seeds=1:30", "seeds.0", "integer (it is '1:30')"),
        ("seeds=[0,01]", "seeds.1", "integer (it is '01')"),
        ("scale=yes", "scale", "number (it is True)"),
        ("scale=1:30.5", "scale", "number (it is '1:30.5')"),
        ("scale=010.5", "scale", "number (it is '010.5')"),
        ("learning_rate=true", "learning_rate", "number (it is True)"),
        ("alphas=[on]", "alphas.0", "number (it is True)"),
        ("dropout=no", "dropout", "number (it is False)"),
        ("batch_size=1", "batch_size", "greater than or equal to 2"),
        ("learning_rate=0", "learning_rate", "greater than 0"),
        ("learning_rate=2", "learning_rate", "less than or equal to 1"),
        ("learning_rate=.nan", "learning_rate", "finite"),
        ("warmup_steps=-1", "warmup_steps", "greater than or equal to 0"),
        ("weight_decay=1", "weight_decay", "less than 1"),
        ("scale=0", "scale", "greater than 0"),
        ("scale=.inf", "scale", "finite"),
        ("max_tokens=1000", "max_tokens", "less than or equal to 512"),
        ("max_tokens=4", "max_tokens", "greater than or equal to 8"),
        ("seeds=[0,-1]", "seeds.1", "greater than or equal to 0"),
        ("seeds=[]", "seeds", "at least 1"),
        ("alphas=[0.5,1]", "alphas.1", "less than 1"),
        ("alphas=0", "alphas.0", "greater than 0"),
        ("strategies=[hybird]", "strategies.0", "'x-x-mono', 'x-y' or 'hybrid'"),
        ("strategies=[]", "strategies", "at least 1"),
        ("eval=[]", "eval", "at least 1"),
        ("candidates=paragraph", "candidates", "'sentence' or 'sentence+paragraph'"),
        ("precision=float16", "precision", "'auto', 'bfloat16' or 'float32'"),
        ("encoder=", "encoder.0", "at least 1"),
        ("encoder=[]", "encoder", "at least 1"),
        ("sampler=3", "sampler", "less than or equal to 2"),
        ("sampler=true", "sampler", "valid integer"),
        ("sampler=2.0", "sampler", "valid integer"),
        ("train_word_vectors=maybe", "train_word_vectors", "boolean"),
    ],
)
def test_an_impossible_value_is_answered_with_its_key_and_what_is_allowed(override, key, allowed):
    message = mistake(override)
    assert f"profile quick: {key}: " in message
    assert allowed in message
    assert "(it is " in message


def test_a_profile_file_with_an_unknown_or_missing_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CONFIGS", tmp_path)
    (tmp_path / "mine.yaml").write_text("encoder: static\ntrain: []\neval: [facts]\nstrategies: [none]\nstepz: 3\n")
    message = mistake(profile="mine")
    assert "profile mine: stepz is not a key" in message and "steps" in message
    (tmp_path / "mine.yaml").write_text("encoder: static\ntrain: []\nstrategies: [none]\n")
    assert "profile mine: eval: Field required" in mistake(profile="mine")


def test_numbers_of_a_profile_file_and_of_an_encoder_are_what_they_look_like(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CONFIGS", tmp_path)
    right = "encoder: static\ntrain: [facts]\neval: [facts]\nstrategies: [none]\n"
    own = "by_encoder: {static: {scale: 5.5}}"
    (tmp_path / "mine.yaml").write_text(f"{right}learning_rate: 1e-5\nsteps: 10\n{own}\n")
    found = config.load("mine").config
    assert (found.learning_rate, found.steps, found.of("static").scale) == (1e-5, 10, 5.5)
    (tmp_path / "mine.yaml").write_text(f"{right}steps: 010\n")
    assert "profile mine: steps: Input should be a valid integer (it is '010')" in mistake(profile="mine")
    (tmp_path / "mine.yaml").write_text(f"{right}by_encoder: {{static: {{scale: true}}}}\n")
    assert "by_encoder: static: scale: Input should be a valid number (it is True)" in mistake(profile="mine")


def test_a_profile_file_that_is_not_yaml_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CONFIGS", tmp_path)
    (tmp_path / "mine.yaml").write_text("encoder: [static\n")
    assert "mine" in mistake(profile="mine")


# --- keys that differ for an encoder ---


def test_each_encoder_has_its_own_keys():
    full = config.load("full").config
    assert full.of("e5-small-q4").learning_rate == full.learning_rate == 3e-5
    assert full.of("e5-small-q4").sampler == 1 and full.of("use-m").sampler == 2
    assert full.of("use-m").learning_rate > full.learning_rate and full.of("static").train_word_vectors
    assert full.of("org/name") == full


def test_values_of_an_encoder_and_of_a_change_are_read_like_those_of_a_profile():
    changes = ["encoder=[use-m]", "by_encoder={use-m: {learning_rate: 1e-4}}"]  # YAML itself reads a text
    run = config.load("smoke", changes).config
    assert run.of("use-m").learning_rate == 1e-4
    changed = run.changed(["learning_rate=9e-4", "alphas=[.25]"])
    assert (changed.learning_rate, changed.alphas) == (9e-4, (0.25,))


def test_what_is_asked_for_on_the_command_line_holds_for_all_encoders():
    asked = config.load("full", ["learning_rate=1e-5"]).config
    assert {asked.of(name).learning_rate for name in ("e5-small-q4", "use-m", "static")} == {1e-5}
    assert asked.of("static").train_word_vectors


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("{use-m: {learning_rat: 1}}", "by_encoder: use-m: learning_rat is not a key; the keys are"),
        ("{use-m: {steps: 0}}", "by_encoder: use-m: steps: Input should be greater than 0"),
        ("{use-m: {train: [facts]}}", "by_encoder: use-m: train is one for all encoders"),
    ],
)
def test_a_mistake_in_an_encoders_own_keys_is_named(keys, message):
    with pytest.raises(UserError, match=message):
        config.load("smoke", [f"by_encoder={keys}"])


# --- sweeps ---


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{encoder: static, train: [facts]}", "sweep.0.test: Field required"),
        ("{encoder: static, train: [facts], test: facts-new, seed: [0]}", "sweep.0.seed is not a key"),
        ("{encoder: static, train: [facts], test: facts-new, changes: [scal=5]}", "--set scal=5: no such key"),
        ("{encoder: static, train: [facts], test: facts-new, changes: [scale=-5]}", "scale: Input should be greater"),
    ],
)
def test_a_mistake_in_a_sweep_is_named_before_any_work(entry, message):
    with pytest.raises(UserError, match=message):
        config.load("smoke", [f"sweep=[{entry}]"])


def test_settings_of_an_encoder_that_the_run_has_not_are_refused():
    right = ["encoder=[use-m]", "by_encoder={use-m: {max_tokens: 32}}"]
    assert config.load("smoke", right).config.of("use-m").max_tokens == 32
    with pytest.raises(UserError, match="'usem' is no encoder of this run, which has use-m"):
        config.load("smoke", [right[0], "by_encoder={usem: {max_tokens: 32}}"])
