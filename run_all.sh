#!/usr/bin/env bash
# Runs the whole suite: makes the environment the first time, then executes the notebooks. See --help.
if [ -z "${BASH_VERSION:-}" ]; then exec bash "$0" "$@"; fi # started as `sh run_all.sh`
set -euo pipefail
export HYBRID_FROM="$PWD" # files that are named are looked for here
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
# shellcheck source=setup.sh
source ./setup.sh

export PYTHONUTF8=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false PYDEVD_DISABLE_FILE_VALIDATION=1
# Large tensors from the heap, not freshly mapped each time: page faults took half of the encoding time.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

exec python -m lib "$@"
