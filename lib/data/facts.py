"""The embedded facts corpus: parallel question-passage pairs in 11 languages, made from Babel's CLDR data.

It needs no download, so every machine that has the Python packages can train and score on it. The names of
territories, currencies, languages, scripts and cities come from CLDR, and so do the facts, as of `AS_OF`; the
sentences around them stand in `facts.yaml`, where each name follows a colon and keeps its citation form.
"""

import datetime
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
LATIN_SCRIPT_LANGUAGES = frozenset({"de", "en", "es", "tr", "vi"})
AS_OF = datetime.date(2025, 7, 1)
TEST_SHARE = 0.25
TEST_ONLY_RELATIONS = frozenset({"language-script"})
MAX_LATIN_SCRIPT_FACTS = 40
# CLDR has codes for groups of territories, test locales, and what is not known: no facts are made of these.
NOT_A_TERRITORY = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
NOT_A_LANGUAGE = frozenset({"mul", "und", "zxx"})
# Their old ids were other places (Coral Harbour, Enderbury), which CLDR's names in some languages still are.
MIXED_UP_ZONES = frozenset({"America/Atikokan", "Pacific/Kanton"})
SOFT_HYPHEN = "\u00ad"  # in some German names

Names = dict[str, dict[str, dict[str, str]]]  # kind -> code -> language -> name


@dataclass(frozen=True)
class Fact:
    """One fact as CLDR codes: `subject` is asked about, `object` is the answer, `group` is its territory."""

    relation: str
    subject: str
    object: str
    group: str

    @property
    def id(self) -> str:
        return f"{self.relation}:{self.subject}"

    @property
    def pair(self) -> frozenset[str]:
        """What is stated, whichever of the two is asked about."""
        subject_kind, object_kind = self.relation.split("-")
        return frozenset({f"{subject_kind}:{self.subject}", f"{object_kind}:{self.object}"})


@cache
def rows() -> list[dict]:
    """Return the whole corpus, in a fixed order, as parallel rows.

    Returns:
        One dictionary a fact: `id`; `q` and `p`, the question and the passage that answers it, both
        `{language: text}` over `LANGUAGES`; `relation`; `group`, the territory's code; and `split`, "train"
        or "test". Every row of a territory is on one side, and `TEST_ONLY_RELATIONS` are never trained on.
        The list is shared between callers: do not change it.
    """
    names = _names()
    templates = _templates()
    facts = [fact for fact in _facts(names) if _named(fact, names)]
    facts = [fact for fact in facts if _allowed(fact)]
    kept = _one_direction_in_test(_cap_latin_script(facts))
    order = list(templates)
    kept.sort(key=lambda fact: (order.index(fact.relation), fact.subject))
    return [_row(fact, names, templates[fact.relation]) for fact in kept]


def split_of(territory: str) -> str:
    """Return the side, "train" or "test", that all rows of this territory code belong to."""
    return "test" if _hash(f"facts:{territory}") < TEST_SHARE * 2**64 else "train"


def _hash(text: str) -> int:
    """Return 64 bits that are the same in every process, which the built-in `hash` are not."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _templates() -> dict[str, dict[str, dict[str, list[str]]]]:
    import yaml

    return yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))


def _row(fact: Fact, names: Names, templates: dict[str, dict[str, list[str]]]) -> dict:
    subject_kind, object_kind = fact.relation.split("-")
    variant = _hash(fact.id) % 2

    def text(part: str, language: str) -> str:
        return templates[language][part][variant].format(
            subject=names[subject_kind][fact.subject][language],
            object=names[object_kind][fact.object][language],
        )

    return {
        "id": fact.id,
        "q": {language: text("q", language) for language in LANGUAGES},
        "p": {language: text("p", language) for language in LANGUAGES},
        "relation": fact.relation,
        "group": fact.group,
        "split": split_of(fact.group),
    }


def _names() -> Names:
    """Return the names that exist in all languages, are unique there, and read well in a sentence."""
    from babel import Locale

    def names_of(attribute: str) -> dict[str, dict[str, str]]:
        return _in_every_language({language: getattr(locales[language], attribute) for language in LANGUAGES})

    locales = {language: Locale.parse(language) for language in LANGUAGES}
    territories, languages = names_of("territories"), names_of("languages")
    names = {
        "territory": {code: territories[code] for code in territories if _is_territory(code)},
        "currency": names_of("currencies"),
        "language": {code: languages[code] for code in languages if _is_language(code)},
        "script": names_of("scripts"),
        "city": _in_every_language({language: _cities(locales[language]) for language in LANGUAGES}),
    }
    return {kind: _unambiguous(_readable(items)) for kind, items in names.items()}


def _is_territory(code: str) -> bool:
    return code.isalpha() and code not in NOT_A_TERRITORY  # numbers stand for continents and their parts


def _is_language(code: str) -> bool:
    return code.isalpha() and code not in NOT_A_LANGUAGE  # en_GB and the like are varieties


def _in_every_language(by_language: dict[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    common = set.intersection(*(set(items) for items in by_language.values()))
    return {
        code: {language: by_language[language][code].replace(SOFT_HYPHEN, "") for language in LANGUAGES}
        for code in sorted(common)
    }


def _cities(locale: "Locale") -> dict[str, str]:
    """Return time zone id -> its city's name, in one language.

    CLDR leaves a name out where it equals the zone's id, as "Paris" in "Europe/Paris": languages in the Latin
    script take it from there. CLDR keys zones by old ids (Asia/Calcutta); the current one has today's name.
    """
    from babel.core import get_global

    aliases = get_global("zone_aliases")
    cities = {}
    for old_id in _zones_of_cldr():
        zone = aliases.get(old_id, old_id)
        name = locale.time_zones.get(old_id, {}).get("city")
        if name is None and locale.language in LATIN_SCRIPT_LANGUAGES:
            name = zone.rsplit("/", 1)[-1].replace("_", " ")
        if name is not None and zone not in MIXED_UP_ZONES:
            cities[zone] = name
    return cities


@cache
def _zones_of_cldr() -> list[str]:
    """Return the zone ids as CLDR spells them: those in Arabic, which can take no name from an id."""
    from babel import Locale

    zones = Locale.parse("ar").time_zones
    return sorted(zone for zone in zones if not zone.startswith("Etc/"))


def _readable(items: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Drop names with a qualifier (brackets, commas, bars) or with Latin letters where these are foreign."""

    def reads_well(language: str, name: str) -> bool:
        foreign = language not in LATIN_SCRIPT_LANGUAGES and re.search("[A-Za-z]", name)
        return not foreign and not re.search(r"[()\[\]（）,،、|]", name)

    return {code: name for code, name in items.items() if all(reads_well(*item) for item in name.items())}


def _unambiguous(items: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Drop names that two codes share in some language, so that a question has one answer."""
    uses = Counter((language, name[language].lower()) for name in items.values() for language in LANGUAGES)
    return {
        code: name
        for code, name in items.items()
        if all(uses[language, name[language].lower()] == 1 for language in LANGUAGES)
    }


def _facts(names: Names) -> Iterator[Fact]:
    """Yield every fact that CLDR states without doubt; its names may still be missing."""
    for territory in names["territory"]:
        yield from _territory_facts(territory)
    yield from _city_facts(names)
    yield from _language_facts(names)


def _territory_facts(territory: str) -> Iterator[Fact]:
    """Yield the currency and the official language of a territory that has exactly one of it.

    A language that is official only in practice or in a part of the territory counts too: South Africa, where
    CLDR gives English this rank everywhere and ten others in parts, does not have one official language.
    """
    from babel.languages import get_official_languages
    from babel.numbers import get_territory_currencies

    currencies = get_territory_currencies(territory, AS_OF, AS_OF, tender=True)
    if len(currencies) == 1:
        yield Fact("territory-currency", territory, currencies[0], territory)
    languages = get_official_languages(territory, regional=True, de_facto=True)
    if len(languages) == 1:
        yield Fact("territory-language", territory, languages[0], territory)


def _city_facts(names: Names) -> Iterator[Fact]:
    """Yield where each city lies and, for a territory with one time zone, the city that names the zone.

    A city whose name is its territory's (Singapore), or a part of it, gives the answer away and is left out.
    """
    from babel.core import get_global

    territories, zones_of = get_global("zone_territories"), get_global("territory_zones")
    for zone, city in names["city"].items():
        territory = territories.get(zone)
        name = names["territory"].get(territory)
        if name is None or any(_overlap(city[language], name[language]) for language in LANGUAGES):
            continue
        yield Fact("city-territory", zone, territory, territory)
        if len(zones_of[territory]) == 1:
            yield Fact("territory-city", territory, zone, territory)


def _overlap(one: str, other: str) -> bool:
    one, other = one.lower(), other.lower()
    return one in other or other in one


def _language_facts(names: Names) -> Iterator[Fact]:
    """Yield the main territory and the main script of each language (CLDR's likely subtags).

    A language that is official in several territories (Spanish, Arabic) has no single home and is left out.
    """
    from babel.core import get_global
    from babel.languages import get_official_languages

    official = Counter(
        language for territory in names["territory"] for language in get_official_languages(territory, de_facto=True)
    )
    likely = get_global("likely_subtags")
    for language in names["language"]:
        if language not in likely or official[language] > 1:
            continue
        _, script, territory = likely[language].split("_")[:3]
        yield Fact("language-territory", language, territory, territory)
        yield Fact("language-script", language, script, territory)


def _named(fact: Fact, names: Names) -> bool:
    """Tell whether subject, answer and territory all have a usable name in every language."""
    subject_kind, object_kind = fact.relation.split("-")
    wanted = [(subject_kind, fact.subject), (object_kind, fact.object), ("territory", fact.group)]
    return all(code in names[kind] for kind, code in wanted)


def _allowed(fact: Fact) -> bool:
    return split_of(fact.group) == "test" or fact.relation not in TEST_ONLY_RELATIONS


def _cap_latin_script(facts: list[Fact]) -> list[Fact]:
    """Keep at most `MAX_LATIN_SCRIPT_FACTS` languages in the Latin script, the script of most."""
    latin = [fact for fact in facts if fact.relation == "language-script" and fact.object == "Latn"]
    surplus = set(sorted(latin, key=lambda fact: _hash(fact.id))[MAX_LATIN_SCRIPT_FACTS:])
    return [fact for fact in facts if fact not in surplus]


def _one_direction_in_test(facts: list[Fact]) -> list[Fact]:
    """Ask each test fact in one direction only, or a passage could answer a question that does not list it.

    "Cairo lies in Egypt" and "Egypt's clocks follow Cairo" are both fine to learn from, but in the pool of
    the test passages the second would be an answer to "Where is Cairo?" that is counted as wrong.
    """
    kept, stated = [], set()
    for fact in sorted(facts, key=lambda fact: _hash(fact.id)):
        in_test = split_of(fact.group) == "test"
        if in_test and fact.pair in stated:
            continue
        stated.add(fact.pair)
        kept.append(fact)
    return kept
