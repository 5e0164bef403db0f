#!/usr/bin/env bash
# Style check, unit tests, then each notebook in its smoke profile. Arguments go to pytest:
#
#     ./run_tests.sh                   everything
#     ./run_tests.sh -k sampling       what matches a word
#     ./run_tests.sh tests/test_x.py   one file
#     ./run_tests.sh -n 0 -x --pdb     one file after the other, as a debugger needs it
if [ -z "${BASH_VERSION:-}" ]; then exec bash "$0" "$@"; fi # started as `sh run_tests.sh`
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
# shellcheck source=setup.sh
SETUP_WITH=tests source ./setup.sh

# Files run side by side, a core and about 2 GB of memory each; more threads than cores would make them wait. What
# tests leave on disk, 6 GB in all, goes with each that passes.
export PYTHONUTF8=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

python -m ruff check --output-format concise .
exec python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
    --override-ini tmp_path_retention_policy=failed \
    -p tests.without_benchmarks --nbval-lax --nbval-current-env --nbval-cell-timeout=600 --nbval-sanitize-with tests/sanitize.cfg "$@"
