"""Encoding MLQA-R's passages: batches by tokens in bf16, against sentence-transformers' own `encode`.

    .venv/bin/python -m benchmarks.encoding [ENCODER]

Alternating, on every tenth passage; then mean average precision over all of MLQA-R with the vectors of both.
"""

import sys

import numpy as np

from benchmarks import measured
from lib.base import config, device
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "e5-small-q4"
    whole = data.evaluation_set("mlqa-r")
    model = encoders.load(encoders.fetched(name))
    model.max_seq_length = config.load("quick").config.max_tokens
    precision = device.precision("auto")
    some = whole.passages["text"].tolist()[::10]
    seconds = measured.alternating(
        {
            "sentence-transformers": lambda: model.encode(some, prompt_name="document", show_progress_bar=False),
            "ours": lambda: embedding.encode(model, some, "document", precision),
        }
    )
    scores = {}
    for way in seconds:
        vectors = [
            embedding.encode(model, texts, kind, precision)
            if way == "ours"
            else np.asarray(model.encode(texts, prompt_name=kind, show_progress_bar=False))
            for texts, kind in (
                (whole.queries["text"].tolist(), "query"),
                (whole.passages["text"].tolist(), "document"),
            )
        ]
        table = metrics.macro(metrics.by_language(metrics.units(search.rank(*vectors, whole).ranks)))
        scores[way] = table[table["metric"] == "map"].set_index("setting")["value"].to_dict()
    ours, theirs = scores["ours"], scores["sentence-transformers"]
    measured.write(
        "encoding",
        {
            "encoder": name,
            "precision": precision,
            "texts": len(some),
            "seconds": seconds,
            "times as fast": seconds["sentence-transformers"] / seconds["ours"],
            "largest difference in mAP of a setting": max(abs(ours[s] - theirs[s]) for s in ours),
        },
    )


if __name__ == "__main__":
    main()
