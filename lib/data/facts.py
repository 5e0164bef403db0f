"""The embedded facts corpus: parallel question-passage pairs in 11 languages, made from Babel's CLDR data.

It needs no download, so every machine that has the Python packages can train and score on it. The names of
territories, currencies, languages, scripts and cities come from CLDR, and so do the facts, as of `AS_OF`; the
sentences around them stand in `facts.yaml`, where each name follows a colon and keeps its citation form.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from .sets import LANGUAGES, bits_of

LATIN_SCRIPT_LANGUAGES = frozenset({"de", "en", "es", "tr", "vi"})
AS_OF = datetime.date(2025, 7, 1)
TEST_SHARE = 0.25
TEST_ONLY_RELATIONS = frozenset({"language-script"})
MAX_LATIN_SCRIPT_FACTS = 40
KINDS = {"territory": "territories", "currency": "currencies", "language": "languages", "script": "scripts"}
# CLDR has codes for groups of territories, test locales, and what is not known: no facts are made of these.
NO_NAMES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ", "mul", "und", "zxx"})
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
    def ends(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Kind and code of the subject and of the object: what is stated, whichever of the two is asked about."""
        subject_kind, object_kind = self.relation.split("-")
        return (subject_kind, self.subject), (object_kind, self.object)


@cache
def rows() -> list[dict]:
    """Return the whole corpus, in a fixed order, as parallel rows.

    Returns:
        One dictionary a fact: `id`; `q` and `p`, the question and the passage that answers it, both
        `{language: text}` over `LANGUAGES`; `relation`; `group`, the territory's code; and `split`, "train"
        or "test". Every row of a territory is on one side, and `TEST_ONLY_RELATIONS` are never trained on.
        The list is shared between callers: do not change it.
    """
    names, templates = _names(), _templates()
    stated = chain(_territory_facts(names), _city_facts(names), _language_facts(names))
    facts = [fact for fact in stated if _is_usable(fact, names)]
    kept = _one_direction_in_test(_cap_latin_script(facts))
    order = list(templates)
    kept.sort(key=lambda fact: (order.index(fact.relation), fact.subject))
    return [_row(fact, names, templates[fact.relation]) for fact in kept]


def split_of(territory: str) -> str:
    """Return the side, "train" or "test", that all rows of this territory code belong to."""
    return "test" if bits_of(f"facts:{territory}") < TEST_SHARE * 2**64 else "train"


def _templates() -> dict[str, dict[str, dict[str, list[str]]]]:
    import yaml

    return yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))


def _row(fact: Fact, names: Names, templates: dict[str, dict[str, list[str]]]) -> dict:
    subject, answer = (names[kind][code] for kind, code in fact.ends)
    variant = bits_of(fact.id) % 2
    texts = {
        part: {x: templates[x][part][variant].format(subject=subject[x], object=answer[x]) for x in LANGUAGES}
        for part in ("q", "p")
    }
    return {"id": fact.id, **texts, "relation": fact.relation, "group": fact.group, "split": split_of(fact.group)}


def _names() -> Names:
    """Return the names that exist in all languages, are unique there, and read well in a sentence."""
    from babel import Locale

    names = {
        kind: _usable({language: _named(getattr(Locale.parse(language), listed)) for language in LANGUAGES})
        for kind, listed in KINDS.items()
    }
    return names | {"city": _usable({language: _cities(language) for language in LANGUAGES})}


def _named(names: Mapping[str, str]) -> dict[str, str]:
    """Drop what is no single territory or language: numbers stand for continents, en_GB and the like are varieties."""
    return {code: name for code, name in names.items() if code.isalpha() and code not in NO_NAMES}


def _usable(by_language: dict[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return code -> language -> name, of codes with a name in every language that reads well there.

    Names that two codes share in some language are dropped, so that a question has one answer.
    """
    common = set.intersection(*(set(items) for items in by_language.values()))
    names = {code: {x: by_language[x][code].replace(SOFT_HYPHEN, "") for x in LANGUAGES} for code in sorted(common)}
    names = {code: name for code, name in names.items() if all(_reads_well(*item) for item in name.items())}
    uses = Counter((language, text.lower()) for name in names.values() for language, text in name.items())
    return {code: name for code, name in names.items() if all(uses[x, name[x].lower()] == 1 for x in LANGUAGES)}


def _reads_well(language: str, name: str) -> bool:
    """Tell whether a name has no qualifier (brackets, commas, bars), and no Latin letters where these are foreign."""
    is_foreign = language not in LATIN_SCRIPT_LANGUAGES and re.search("[A-Za-z]", name)
    return not is_foreign and not re.search(r"[()\[\]（）,،、|]", name)


def _cities(language: str) -> dict[str, str]:
    """Return time zone id -> its city's name, in one language.

    CLDR leaves a name out where it equals the zone's id, as "Paris" in "Europe/Paris": languages in the Latin
    script take it from there. CLDR keys zones by old ids (Asia/Calcutta); the current one has today's name.
    """
    from babel import Locale
    from babel.core import get_global

    aliases = get_global("zone_aliases")
    named, cities = Locale.parse(language).time_zones, {}
    for old_id in sorted(Locale.parse("ar").time_zones):  # as CLDR spells them: Arabic can take no name from an id
        zone = aliases.get(old_id, old_id)
        name = named.get(old_id, {}).get("city")
        if name is None and language in LATIN_SCRIPT_LANGUAGES:
            name = zone.rsplit("/", 1)[-1].replace("_", " ")
        if name is not None and zone not in MIXED_UP_ZONES and not old_id.startswith("Etc/"):
            cities[zone] = name
    return cities


def _territory_facts(names: Names) -> Iterator[Fact]:
    """Yield the currency and the official language of each territory that has exactly one of it.

    A language that is official only in practice or in a part of the territory counts too: South Africa, where
    CLDR gives English this rank everywhere and ten others in parts, does not have one official language.
    """
    from babel.languages import get_official_languages
    from babel.numbers import get_territory_currencies

    for territory in names["territory"]:
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


def _is_usable(fact: Fact, names: Names) -> bool:
    """Tell whether subject, answer and territory have usable names, and its side may have facts of this relation."""
    is_named = all(code in names[kind] for kind, code in (*fact.ends, ("territory", fact.group)))
    return is_named and (split_of(fact.group) == "test" or fact.relation not in TEST_ONLY_RELATIONS)


def _cap_latin_script(facts: list[Fact]) -> list[Fact]:
    """Keep at most `MAX_LATIN_SCRIPT_FACTS` languages in the Latin script, the script of most."""
    latin = [fact for fact in facts if fact.relation == "language-script" and fact.object == "Latn"]
    surplus = set(sorted(latin, key=lambda fact: bits_of(fact.id))[MAX_LATIN_SCRIPT_FACTS:])
    return [fact for fact in facts if fact not in surplus]


def _one_direction_in_test(facts: list[Fact]) -> list[Fact]:
    """Ask each test fact in one direction only, or a passage could answer a question that does not list it.

    "Cairo lies in Egypt" and "Egypt's clocks follow Cairo" are both fine to learn from, but in the pool of
    the test passages the second would be an answer to "Where is Cairo?" that is counted as wrong.
    """
    kept, stated = [], set()
    for fact in sorted(facts, key=lambda fact: bits_of(fact.id)):
        pair = frozenset(fact.ends)
        if split_of(fact.group) == "train" or pair not in stated:
            kept.append(fact)
        stated.add(pair)
    return kept
