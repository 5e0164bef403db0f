"""The command of the language audit, of one encoder or of two side by side::

    python -m lib.interop.audit --encoder e5-small-q4 --eval xquad-r
    python -m lib.interop.audit --encoder my-model --against e5-small-q4 --eval xquad-r
    python -m lib.interop.audit --profile smoke-1a2b3c4d --encoder static_facts_hybrid-0.5_seed0 --eval facts
"""

import sys
import tempfile
from pathlib import Path

from ..base import paths
from ..base import store as artifacts
from ..base.errors import Parser, UserError, told
from ..data import catalog as data
from . import against, exports, language_audit

SUMMARY = "Does an encoder rank passages by their language? Measures it on a parallel set, without training."


def main(arguments: list[str] | None = None) -> int:
    """Audit and print; returns the exit status."""
    return told(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    take = Parser(prog=f"python -m {paths.PACKAGE}.interop.audit", description=SUMMARY, allow_abbrev=False)
    take.add_argument("--encoder", required=True, help="a name, such as e5-small-q4, a hub id, or a folder")
    take.add_argument("--against", metavar="ENCODER", help="another encoder: how far the first is from it")
    take.add_argument(
        "--eval", required=True, metavar="SET", help="a name, such as xquad-r, or a .jsonl, .csv or .tsv file"
    )
    take.add_argument("--out", type=Path, metavar="FILE.csv", help="write all numbers there, one a row")
    take.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="such as max_tokens=256"
    )
    take.add_argument(
        "--profile", metavar="RUN", help="a profile or a run, as its name is printed: its settings hold, and encoders "
        "may be called by its cells, such as static_facts_hybrid-0.5_seed0",
    )  # fmt: skip
    asked = take.parse_args(arguments)
    if asked.out and asked.out.is_dir():
        raise UserError(f"--out {asked.out}: it is a folder; name a file in it, such as {asked.out / 'audit.csv'}")
    if asked.out:
        check_writable(asked.out)
    names = [asked.encoder, asked.against] if asked.against else [asked.encoder]
    taken = [(name, asked.overrides) for name in names]
    if asked.profile:
        taken = exports.of_run(asked.profile, asked.overrides, names)
    encoder, own = taken[0]
    if asked.against:
        other, others = taken[1]
        found = against.compare(encoder, other, asked.eval, own, others)
        found = found.assign(encoder=asked.encoder, against=asked.against)
        print(against.text(found))
    else:
        found = language_audit.audit(encoder, asked.eval, own).assign(encoder=asked.encoder)
        print(language_audit.text(found, data.evaluation_set(asked.eval)))
    if asked.out:
        artifacts.write_text(asked.out, found.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
        print(f"written to {paths.shown(asked.out)}")


def check_writable(path: Path) -> None:
    """Refuse, before an hour of encoding, a file that could not be written after it.

    Raises:
        UserError: naming it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"--out {path}: it cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
