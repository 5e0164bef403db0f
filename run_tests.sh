#!/usr/bin/env bash
# Style check, unit tests, then each notebook in its smoke profile. Arguments go to pytest:
#
#     ./run_tests.sh                   everything
#     ./run_tests.sh -k sampling       what matches a word
#     ./run_tests.sh tests/test_x.py   one file
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
# shellcheck source=setup.sh
source ./setup.sh

export PYTHONUTF8=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg

python -m ruff check --output-format concise .
exec python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
    --nbval-sanitize-with tests/sanitize.cfg "$@"
