"""Fonts for names in any script: those of the machine where matplotlib's own has no letter for them."""

from functools import cache

OWN = "DejaVu Sans"
# Families that cover what DejaVu lacks, as systems and package managers call them; the first that is there is used.
OTHERS = {
    "Chinese, Japanese, Korean": (
        "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC",
        "Hiragino Sans", "Microsoft YaHei", "Droid Sans Fallback",
    ),
    "Thai": ("Noto Sans Thai", "Loma", "Thonburi", "Leelawadee UI"),
    "Devanagari": ("Noto Sans Devanagari", "Lohit Devanagari", "Kohinoor Devanagari", "Nirmala UI"),
}  # fmt: skip


@cache
def families() -> list[str]:
    """matplotlib's own font, and one of this machine for each group of scripts that it lacks, where there is one."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    found = (next((name for name in names if name in installed), None) for names in OTHERS.values())
    return [OWN, *(name for name in found if name)]


def drawable(text: str) -> str:
    """A text for a figure: letters that no font here has are given by their code points, and not as empty boxes."""
    if text.isascii():
        return text
    return "".join(letter if ord(letter) in _letters() else f"\\u{ord(letter):04x}" for letter in text)


@cache
def _letters() -> frozenset[int]:
    """The code points that can be drawn."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(code for family in families() for code in get_font(findfont(family)).get_charmap())
