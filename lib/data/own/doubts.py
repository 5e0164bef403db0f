"""What is right in rows that people bring, but perhaps not meant: it is said, and nothing is done."""

from collections.abc import Iterable
from functools import cache

from .. import sets as parallel

# Languages that ISO 639-3 counts to another one, a macrolanguage, in whose data they often are; without those whose
# codes are read as its own (see `jsonl.canonical`), and without Indonesian, which nobody takes for Malay.
MEMBERS = {
    "ar": "acm acq acw acx aeb afb apc apd ars ary arz ayl ayn shu", "ay": "ayc", "az": "azb", "bal": "bgn bgp",
    "cr": "crk crl crm csw", "doi": "xnr", "et": "vro", "ff": "ffm fub fue fuf fuh fuq fuv", "gn": "gnw gui gun",
    "iu": "ikt", "kok": "knn", "ku": "ckb sdh", "kv": "koi", "lv": "ltg", "mn": "mvf", "ms": "mfa zlm", "ne": "dty",
    "no": "nb nn", "oj": "ciw ojb ojc otw", "om": "gax hae orc", "or": "spv", "ps": "pbt pst", "qu": "quh quy qvi",
    "sc": "sdc sdn sro", "sq": "aae aat aln", "uz": "uzs", "yi": "yih", "zh": "cdo cjy gan hak hsn lzh nan wuu yue",
    "zza": "kiu",
}  # fmt: skip
SHOWN = 3
WHOLE = {member: whole for whole, members in MEMBERS.items() for member in members.split()}


def of(rows: list[dict]) -> Iterable[str]:
    """Languages that may be none, or a part of another one, and groups that leave all rows in one split."""
    languages = {x: x.split("-")[0] for x in sorted({x for row in rows for side in ("q", "p") for x in row[side]})}
    if unknown := [x for x, base in languages.items() if base not in _known()]:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        yield f"Unicode CLDR knows no language {', '.join(unknown[:SHOWN])}{more}; is it one?"
    for base in sorted(set(languages.values())):
        named = [x for x, its in languages.items() if base in (its, WHOLE.get(its))]
        if len(named) > 1:
            yield f"{' and '.join(named)} count as {len(named)} languages"
    groups = {parallel.group_of(row) for row in rows}
    if len(groups) == 1 < len(rows) and not any(row.get("split") for row in rows):
        yield f"all rows are of one group, '{groups.pop()}', and so in one split"


@cache
def _known() -> set[str]:
    """Languages of which CLDR has the name or the usual script: nine of ten that ISO 639-3 lists, and no others."""
    from babel import Locale
    from babel.core import get_global

    return {code.split("_")[0] for code in (*Locale("en").languages, *get_global("likely_subtags"))}
