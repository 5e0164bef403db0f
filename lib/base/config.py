"""Profiles and runs: a YAML file plus overrides, read into one frozen, checked object.

A profile is ``configs/<name>.yaml``. A run is a profile plus overrides (``key=value``, as typed on the
command line), and its name says which: the profile's name, with 8 hex digits of the overrides if any.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from . import paths
from . import store as artifacts
from .errors import UserError

FACTS_ONLY = (
    "FACTS CORPUS, NOT THE PAPER'S DATA: XQuAD-R and MLQA-R could be had neither from a mirror nor from their "
    "origin, so this run used the embedded facts corpus."
)

FEWEST_TOKENS = 8  # of a text that an encoder sees
FACTS = ("facts", "facts-heldout", "facts-new")
SHOWN = ("is_shown", "replicate", "takes_published")  # keys that say what becomes of cells, and are no setting
NAMED = ("encoder", "train", "eval")  # keys whose values are names
FOR_ALL = (*NAMED, "by_encoder", "sweep", *SHOWN)  # keys that no encoder and no change has for itself
NO_NAMES = 'not a list of names in YAML; in it, put a name with its signs into quotation marks: {key}=["my #1", other]'

Strategy = Literal["none", "en-en", "x-x", "x-x-mono", "x-y", "hybrid"]
# Numbers are strict: a stray ``true`` would otherwise count as 1.
Number = Annotated[float, Field(strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # what NumPy and torch both take


class _Yaml(yaml.SafeLoader):
    """YAML whose numbers are what they look like: by itself it reads 010 as 8, 1:30 as 90 and 1e-4 as a text."""

    yaml_implicit_resolvers = {
        letter: [(tag, form) for tag, form in known if not tag.endswith((":int", ":float"))]
        for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z"), [*"-+0123456789"])
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?((0|[1-9][0-9_]*)(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?\Z|[-+]?\.inf\Z|\.nan\Z", re.IGNORECASE),
    [*"-+.0123456789"],
)


def _listed(value: Any) -> Any:
    """One name may stand for a list of one."""
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class Sweep:
    """Further trainings, of which each is scored on one set alone (see `lib.runs.plan.parts`)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    encoder: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    train: Annotated[tuple[str, ...], Field(min_length=1)]
    test: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)] = ("x-x-mono", "x-y", "hybrid")
    alphas: tuple[Annotated[Number, Field(gt=0, lt=1)], ...] = (0.5,)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    changes: tuple[str | tuple[str, ...], ...] = ((),)


@dataclass(frozen=True)
class Config:
    """What a run does. Field by field as in the YAML file of a profile (see ``configs/``)."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    encoder: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed), Field(min_length=1)]
    train: tuple[str, ...]
    eval: Annotated[tuple[str, ...], Field(min_length=1)]
    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)]
    alphas: tuple[Annotated[Number, Field(gt=0, lt=1)], ...] = (0.5,)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    steps: Annotated[int, Field(gt=0, le=10_000_000, strict=True)] = 80
    batch_size: Annotated[int, Field(ge=2, strict=True)] = 32
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 3e-5
    warmup_steps: Natural = 10
    weight_decay: Annotated[Number, Field(ge=0, lt=1)] = 0.01
    dropout: Annotated[Number, Field(ge=0, lt=1)] | None = None  # None: the encoder's own
    checkpoint: Literal["last", "validation"] = "last"
    scale: Annotated[Number, Field(gt=0, le=1000)] = 20.0
    max_tokens: Annotated[int, Field(ge=FEWEST_TOKENS, le=512, strict=True)] = 128
    train_word_vectors: bool = False
    candidates: Literal["sentence", "sentence+paragraph"] = "sentence"
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    sampler: Annotated[int, Field(ge=1, le=2, strict=True)] = 2  # the version of the batches (see `training.sampling`)
    centred: bool = False  # cells of a sweep keep what is left without language means too (see `evaluation.centring`)
    cross: Literal["row", "batch"] = "row"  # x-y draws a pair of languages for each row, or one for the whole batch
    heldout_seeds: tuple[Seed, ...] | None = None  # the seeds that are scored on held-out sets too; None: all
    by_encoder: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False)  # keys that differ for an encoder
    sweep: tuple[Sweep, ...] = ()  # further trainings: other settings, or cross-fitting
    is_shown: bool = False  # nothing is trained but `replicate`: it shows the cells that come with the repository
    replicate: tuple[str, ...] = ()  # cells that are made here and now, and held against the published ones
    takes_published: bool = True  # whether published cells serve; if not, all are made here

    @property
    def encoders(self) -> str:
        """The encoders as people read them."""
        return ", ".join(self.encoder)

    def changed(self, changes: Sequence[str]) -> "Config":
        """The configuration with keys changed, each as ``key=value``."""
        return _adapter().validate_python(vars(self) | _changes(changes))

    def of(self, encoder: str) -> "Config":
        """The configuration for one of the encoders, with the keys that differ for it."""
        return _adapter().validate_python(vars(self) | self.by_encoder.get(encoder, {}))


@dataclass(frozen=True)
class Run:
    """A profile with its overrides: the configuration, and the name of the folder it works in.

    Attributes:
        fallback: the benchmarks could not be had, and the facts corpus takes their place.
        finished: only cells that are finished are looked at; none is made.
        left_out: sets of the profile that exist only in a mirror, and are not in this one.
        beside: the subfolder that it works in, if it is a part of a run of that name.
    """

    profile: str
    overrides: tuple[str, ...]
    config: Config
    fallback: bool = False
    finished: bool = False
    left_out: tuple[str, ...] = ()
    beside: str = ""
    # What each cell is made from, with the state of files of one's own; a run that is changed starts afresh.
    inputs: dict[Any, tuple[Any, dict[str, Any]]] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def name(self) -> str:
        """The name of its folder. Overrides that mean the same, in any order or spelling, are the same run."""
        base = f"{self.profile}-facts" if self.fallback else self.profile
        if not self.overrides:
            return base
        values = as_dict(self.config)
        return f"{base}-{artifacts.digest({key: values[key] for key in _changes(self.overrides)})[:8]}"

    @property
    def command(self) -> str:
        """What to type to start it."""
        changes = [f"--set {shlex.quote(text)}" for text in self.overrides]
        return " ".join([paths.COMMAND, f"--profile {self.profile}", *changes])

    @property
    def folder(self) -> Path:
        return paths.results() / self.name / self.beside

    def of_first(self) -> "Run":
        """The run as if it had its first encoder alone, whose cells and rows of tables it then has alone."""
        return replace(self, config=replace(self.config, encoder=self.config.encoder[:1]))

    def on_facts(self, train: tuple[str, ...] = ("facts",), scored: tuple[str, ...] = FACTS) -> "Run":
        """The same run on the embedded facts corpus, under a name of its own (design: never silently)."""
        return replace(self, fallback=True, config=replace(self.config, train=train, eval=scored))


def profiles() -> list[str]:
    """Names of the profiles, the smallest first."""
    order = ["smoke", "default", "quick", "full", "paper"]
    return sorted((p.stem for p in paths.CONFIGS.glob("*.yaml")), key=lambda n: (order + [n]).index(n))


def load(profile: str, overrides: Sequence[str] = ()) -> Run:
    """Read a profile and apply overrides.

    Args:
        profile: name of a file in ``configs/``.
        overrides: ``key=value`` with values in YAML, e.g. ``steps=10`` or ``seeds=[0,1]``.

    Raises:
        UserError: unknown profile or key, wrong type, impossible value; names the key and what is allowed.
    """
    if profile not in profiles():
        raise UserError(f"profile '{profile}' does not exist; choose one of: {', '.join(profiles())}")
    file = paths.CONFIGS / f"{profile}.yaml"
    try:
        values = _Yaml(file.read_text(encoding="utf-8")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"profile {profile}: configs/{file.name} is not valid YAML in UTF-8") from error
    if not isinstance(values, dict):
        raise UserError(f"profile {profile}: configs/{file.name} must hold lines of the form key: value")
    if like := values.pop("like", None):  # another profile, of which this one changes some keys
        values = _Yaml((paths.CONFIGS / f"{like}.yaml").read_text(encoding="utf-8")).get_single_data() | values
    changes = _changes(overrides)
    own = values.get("by_encoder") or {}  # what is asked for holds for all encoders
    kept = {encoder: {k: v for k, v in keys.items() if k not in changes} for encoder, keys in own.items()}
    values |= {"by_encoder": {encoder: keys for encoder, keys in kept.items() if keys}} | changes
    run = Run(profile, tuple(overrides), _checked(values, source=f"profile {profile}"))
    if "by_encoder" in changes and (unknown := set(run.config.by_encoder) - set(run.config.encoder)):
        named = f"is no encoder of this run, which has {run.config.encoders}"
        raise UserError(f"--set by_encoder: '{min(unknown)}' {named}; name it as there")
    return run


def as_dict(config: Config) -> dict[str, Any]:
    """The configuration as JSON values, keys in the order of the class."""
    return json.loads(json.dumps(asdict(config)))


def _changes(overrides: Sequence[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    known = {key.name: key for key in fields(Config)}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: write it as key=value, for instance steps=10")
        if key not in known:
            raise UserError(f"--set {text}: no such key; the keys are: {', '.join(known)}")
        if key in changes:
            raise UserError(f"--set {text}: {key} is set twice; for several values write {key}=[one,two]")
        try:
            changes[key] = _names(value.strip()) if key in NAMED else _Yaml(value).get_single_data()
        except yaml.YAMLError as error:
            wrong = NO_NAMES.format(key=key) if key in NAMED else "the value is not valid YAML"
            raise UserError(f"--set {text}: {wrong}") from error
        if "tuple" in str(known[key].type) and not isinstance(changes[key], list):
            changes[key] = [changes[key]]  # train=my.jsonl is as good as train=[my.jsonl]
    return changes


def _names(value: str) -> Any:
    """Names of files, folders and sets, as they are typed: 007 is no number, and what follows a # is no comment."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    if not value.startswith("[") and not is_quoted:
        return value
    names = yaml.BaseLoader(value).get_single_data()  # which reads all as texts
    if not all(isinstance(name, str) for name in names):
        raise yaml.YAMLError
    return names


@cache
def _adapter() -> TypeAdapter:
    """What makes a `Config` of values as YAML reads them, such as a list where a tuple is meant."""
    return TypeAdapter(Config)


def _checked(values: dict[str, Any], source: str) -> Config:
    try:
        config = _adapter().validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "unexpected_keyword_argument":
            names = ", ".join(key.name for key in fields(Config))
            raise UserError(f"{source}: {key} is not a key; the keys are: {names}") from error
        raise UserError(f"{source}: {key}: {first['msg']} (it is {first['input']!r})") from error
    if problem := _contradiction(config):
        raise UserError(f"{source}: {problem}")
    for change in (change for entry in config.sweep for change in entry.changes):
        changes = [change] if isinstance(change, str) else change
        if unfit := sorted(set(FOR_ALL) & set(_changes(changes))):
            raise UserError(f"{source}: sweep: {', '.join(changes)}: {unfit[0]} is no change of a training")
        _checked(values | {"sweep": ()} | _changes(changes), f"{source}: sweep: {', '.join(changes)}")
    for encoder, keys in config.by_encoder.items():
        if unfit := sorted(set(FOR_ALL) & set(keys)):
            raise UserError(f"{source}: by_encoder: {encoder}: {unfit[0]} is one for all encoders")
        _checked(values | {"by_encoder": {}, "sweep": ()} | keys, f"{source}: by_encoder: {encoder}")
    return config


def _contradiction(config: Config) -> str | None:
    """What is wrong with keys whose values are each possible."""
    for key, value in vars(config).items():
        if isinstance(value, tuple) and (twice := [x for x in value if value.count(x) > 1]):
            return f"{key}: {twice[0]} occurs twice; name each once"
    if "hybrid" in config.strategies and not config.alphas:
        return "alphas: the strategy hybrid needs at least one, such as alphas=[0.5]"
    if "none" in config.train or not config.train:
        return "train: it must name a data set; for no training at all, write strategies=[none]"
    return None
