"""The way of a person with rows and an encoder of their own: all notebooks by papermill, the figures, the report."""

import json

import nbformat
import synthetic

from lib import __main__ as command
from lib.runs.open import open_run
from lib.show import notebooks as suite


def test_every_notebook_runs_on_rows_and_an_encoder_of_ones_own(own_folders, capfd):
    rows = [row | {"split": "test" if n % 2 else "train"} for n, row in enumerate(synthetic.rows(48))]
    (own_folders / "my.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [text for row in rows for side in "qp" for text in row[side].values()]
    synthetic.encoder(words).save(str(own_folders / "mine"), create_model_card=False)
    changes = [f"train={own_folders / 'my.jsonl'}", f"encoder={own_folders / 'mine'}"]
    changes += ["steps=4", "batch_size=8", "warmup_steps=1"]
    given = [word for text in changes for word in ("--set", text)]
    assert command.main(["--profile", "smoke", *given]) == 0, capfd.readouterr()
    run = open_run("smoke", changes)
    assert (run.folder / "report.html").stat().st_size > 10_000
    for notebook in suite.notebooks():
        cells = nbformat.read(suite.outputs(run, notebook)[0], nbformat.NO_CONVERT)["cells"]
        made = [output for cell in cells for output in cell.get("outputs", ())]
        assert made and not [output for output in made if output["output_type"] == "error"], notebook.name
