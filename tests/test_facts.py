"""The facts corpus: what is in it, that each language is well-formed, and that its two sides are apart."""

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from lib.data.facts import LANGUAGES, TEST_ONLY_RELATIONS, Fact, _one_direction_in_test, _templates, rows, split_of

CHECKOUT = Path(__file__).parent.parent
SCRIPTS = {"ar": "ARABIC", "el": "GREEK", "hi": "DEVANAGARI", "ru": "CYRILLIC", "th": "THAI", "zh": "CJK"}
QUESTION_ENDS = {"ar": "؟", "el": ";", "zh": "？"}
STATEMENT_ENDS = {"hi": "।", "zh": "。"}
DIGEST = "import hashlib, json; from lib.data.facts import rows; "
DIGEST += "print(hashlib.sha256(json.dumps(rows()).encode()).hexdigest())"


@cache
def row(row_id: str) -> dict:
    return next(row for row in rows() if row["id"] == row_id)


def texts(language: str) -> list[str]:
    return [row[part][language] for row in rows() for part in "qp"]


def test_counts_with_babel_2_18():
    counts = Counter((row["relation"], row["split"]) for row in rows())
    assert counts == {
        ("territory-currency", "train"): 158,
        ("territory-currency", "test"): 54,
        ("territory-language", "train"): 100,
        ("territory-language", "test"): 29,
        ("territory-city", "train"): 105,
        ("territory-city", "test"): 13,
        ("city-territory", "train"): 248,
        ("city-territory", "test"): 61,
        ("language-territory", "train"): 360,
        ("language-territory", "test"): 113,
        ("language-script", "test"): 87,
    }
    assert len(rows()) == 1328


def test_rows_have_the_parallel_format():
    for row in rows():
        assert set(row) == {"id", "q", "p", "relation", "group", "split"}
        assert tuple(row["q"]) == tuple(row["p"]) == LANGUAGES
        assert row["id"].startswith(row["relation"] + ":")
    assert json.loads(json.dumps(rows())) == rows()


def test_ids_and_texts_are_unique():
    assert len({row["id"] for row in rows()}) == len(rows())
    for language in LANGUAGES:
        assert len(set(texts(language))) == 2 * len(rows())


@pytest.mark.parametrize(
    ("row_id", "language", "question", "passage"),
    [
        ("territory-currency:FR", "en", "France", "Euro"),
        ("territory-currency:FR", "ru", "Франция", "евро"),
        ("territory-currency:FR", "zh", "法国", "欧元"),
        ("territory-currency:BG", "en", "Bulgaria", "Bulgarian Lev"),  # before the euro of January 2026
        ("territory-currency:TH", "ar", "تايلاند", "باخت تايلاندي"),
        ("territory-language:JP", "de", "Japan", "Japanisch"),
        ("territory-city:TH", "en", "Thailand", "Bangkok"),
        ("territory-city:TH", "el", "Ταϊλάνδη", "Μπανγκόκ"),
        ("territory-city:TH", "th", "ไทย", "กรุงเทพ"),
        ("city-territory:Asia/Kolkata", "en", "Kolkata", "India"),  # CLDR knows the zone as Asia/Calcutta
        ("city-territory:Asia/Kolkata", "hi", "कोलकाता", "भारत"),
        ("city-territory:Europe/Paris", "vi", "Paris", "Pháp"),  # the name is the zone's id
        ("language-territory:is", "es", "islandés", "Islandia"),
        ("language-script:ne", "tr", "Nepalce", "Devanagari"),
    ],
)
def test_known_facts(row_id: str, language: str, question: str, passage: str):
    assert question in row(row_id)["q"][language]
    assert question in row(row_id)["p"][language]
    assert passage in row(row_id)["p"][language]
    assert passage not in row(row_id)["q"][language]


@pytest.mark.parametrize(
    "row_id",
    [
        "territory-currency:PA",  # two legal tenders
        "territory-language:ZA",  # many official languages
        "territory-city:SG",  # the city's name is the answer
        "territory-city:US",  # many time zones
        "territory-city:MM",  # names with brackets
        "language-territory:es",  # official in many territories
        "language-territory:eo",  # of no territory
        "language-territory:und",  # CLDR's "unknown language"
        "territory-currency:EU",  # not one territory
        "city-territory:Pacific/Kanton",  # two islands mixed up
    ],
)
def test_doubtful_facts_are_left_out(row_id: str):
    assert row_id not in {row["id"] for row in rows()}


def test_a_territory_is_on_one_side():
    assert all(row["split"] == split_of(row["group"]) for row in rows())
    for row in rows():
        if row["relation"].startswith("territory"):
            assert row["id"] == f"{row['relation']}:{row['group']}"
    territories = {row["group"]: row["split"] for row in rows()}
    assert 0.20 < list(territories.values()).count("test") / len(territories) < 0.30


def test_city_and_its_territory_are_on_one_side():
    assert row("city-territory:Asia/Bangkok")["group"] == row("territory-currency:TH")["group"] == "TH"


def test_no_text_of_the_test_is_trained_on():
    for language in LANGUAGES:
        sides = {
            side: {row[part][language] for row in rows() if row["split"] == side for part in "qp"}
            for side in ("train", "test")
        }
        assert sides["test"] and not sides["train"] & sides["test"]


def test_some_relations_are_never_trained_on():
    sides = {relation: set() for relation in TEST_ONLY_RELATIONS}
    for row in rows():
        if row["relation"] in sides:
            sides[row["relation"]].add(row["split"])
    assert sides == {"language-script": {"test"}}


def test_the_test_asks_each_fact_in_one_direction():
    """Else the passage of the other direction would be a right answer that the qrels do not list."""
    groups = {"train": {}, "test": {}}
    for row in rows():
        groups[row["split"]].setdefault(row["relation"], set()).add(row["group"])
    assert groups["train"]["territory-city"] & groups["train"]["city-territory"]
    assert not groups["test"]["territory-city"] & groups["test"]["city-territory"]


def test_one_of_two_directions_is_kept_only_in_the_test():
    def both(territory: str) -> list[Fact]:
        return [
            Fact("territory-language", territory, "xx", territory),
            Fact("language-territory", "xx", territory, territory),
            Fact("territory-currency", territory, "EUR", territory),
        ]

    assert split_of("IS") == "test" and split_of("FR") == "train"
    kept = _one_direction_in_test(both("IS"))
    assert len(kept) == 2 and {fact.relation for fact in kept} > {"territory-currency"}
    assert set(_one_direction_in_test(both("FR"))) == set(both("FR"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_clean(language: str):
    for text in texts(language):
        assert text == unicodedata.normalize("NFC", text) == " ".join(text.split())
        assert not set(text) & set("()[]{}（）|_")
        assert not any(unicodedata.category(character) in {"Cc", "Cf", "Co", "Nd"} for character in text)
        assert ".." not in text and ". ." not in text


@pytest.mark.parametrize("language", SCRIPTS)
def test_texts_are_in_the_script_of_their_language(language: str):
    for text in texts(language):
        letters = [character for character in text if unicodedata.category(character)[0] in "LM"]
        native = [letter for letter in letters if unicodedata.name(letter).startswith(SCRIPTS[language])]
        assert len(native) >= 0.95 * len(letters), text


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - set(SCRIPTS)))
def test_texts_of_latin_script_languages_hold_no_other_script(language: str):
    foreign = {name for text in texts(language) for name in map(unicodedata.name, text) if "LETTER" in name}
    assert all(name.startswith(("LATIN", "MODIFIER")) for name in foreign)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"th"}))
def test_punctuation_is_the_languages_own(language: str):
    for row in rows():
        question, passage = row["q"][language], row["p"][language]
        assert question.endswith(QUESTION_ENDS.get(language, "?"))
        assert passage.endswith(STATEMENT_ENDS.get(language, "."))
        if language in QUESTION_ENDS:
            assert "?" not in question
        if language == "es":
            assert question.count("¿") == question.count("?") == 1
        if language == "zh":
            assert not set(question + passage) & set(",.:;?")


def test_thai_has_neither_full_stop_nor_question_mark():
    assert not any(text.endswith((".", "?")) for text in texts("th"))


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"th", "zh"}))
def test_question_and_passage_differ_in_wording(language: str):
    """The name is shared: of the other words of a passage at most half may be the question's."""
    for relation in _templates().values():
        for question, passage in zip(relation[language]["q"], relation[language]["p"], strict=True):
            asked, said = (
                set(re.findall(r"[^\s.,:;?¿؟।]+", text.lower())) - {"{subject}", "{object}"}
                for text in (question, passage)
            )
            assert 2 * len(said & asked) <= len(said), passage


def test_every_template_names_what_it_is_about():
    for relation in _templates().values():
        assert tuple(relation) == LANGUAGES
        for parts in relation.values():
            assert all(text.count("{subject}") == 1 and "{object}" not in text for text in parts["q"])
            assert all(text.count("{subject}") == text.count("{object}") == 1 for text in parts["p"])
            assert len(parts["q"]) == len(parts["p"]) == 2


def test_rows_do_not_depend_on_the_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {hashlib.sha256(json.dumps(rows()).encode()).hexdigest()}
