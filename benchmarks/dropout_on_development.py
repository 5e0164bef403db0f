"""Why `default` and `full` train without dropout: scores on the development questions of the training set.

Trains x-x-mono and hybrid on XQuAD-R with the encoder's own dropout and without, seed 0, and scores the held-back
development questions against the full pool. No test of what was trained on XQuAD-R asks them; that of what was trained
on MLQA-R asks all of XQuAD-R, and so these as well. About 20 minutes on two cores.

    .venv/bin/python -m benchmarks.dropout_on_development
"""

from benchmarks import measured
from lib.base import config, device
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import metrics, search
from lib.runs import cells
from lib.runs import plan as grid
from lib.training import fit as training

WAYS = {"without": "dropout=0.0", "its own (.1)": "dropout=null"}


def main() -> None:
    full = data.evaluation_set("xquad-r")
    chosen = full.only((full.questions["split"] == "dev").to_numpy(), "xquad-r-dev")
    rows = []
    for label, alpha in (("x-x-mono", None), ("hybrid", 0.5)):
        for way, override in WAYS.items():
            run = config.load("quick", ["encoder=e5-small-q4", override])
            folder = cells.train(run, grid.Cell(run.config.encoder[0], "xquad-r", label, alpha, 0))
            model = encoders.load(folder / training.MODEL)
            model.max_seq_length = run.config.max_tokens
            precision = device.precision(run.config.precision)
            queries = embedding.encode(model, chosen.queries["text"].tolist(), "query", precision)
            passages = embedding.encode(model, chosen.passages["text"].tolist(), "document", precision)
            ranks = search.rank(queries, passages, chosen).ranks
            means = metrics.macro(metrics.by_language(metrics.units(ranks))).set_index(["setting", "metric"])["value"]
            rows.append({"strategy": label, "dropout": way, **means.xs("map", level="metric").to_dict()})
            print(rows[-1], flush=True)
    measured.write("dropout_on_development", {"rows": rows})


if __name__ == "__main__":
    main()
