# shellcheck shell=bash
# Makes the virtual environment .venv beside this file and activates it: `source ./setup.sh`.
#
# The first time it installs the pinned packages, which takes minutes; after that it only compares one hash.
# That hash stands in .venv/.setup-stamp, which is written last: an environment that was left half-made or moved,
# or that belongs to another lock file or another Python, is noticed and made again.

unset PYTHONHOME PYTHONPATH # they would put other packages before the pinned ones
# They, or the same in a pip.conf, would make pip install elsewhere than in .venv.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN PIP_NO_INSTALL
export PIP_USER=0

SETUP_ROOT="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
SETUP_VENV="$SETUP_ROOT/.venv"
SETUP_STAMP="$SETUP_VENV/.setup-stamp"
SETUP_LOG="$SETUP_VENV/setup.log"
SETUP_TORCH="torch==2.13.0"
SETUP_TORCH_CPU_INDEX="https://download.pytorch.org/whl/cpu"

setup_say() { printf '[set-up] %s\n' "$*" >&2; }

setup_sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Everything that the environment was made from.
setup_fingerprint() {
    {
        cat "$SETUP_ROOT/requirements.lock" "$SETUP_ROOT/pyproject.toml" "$SETUP_ROOT/setup.sh" \
            "$SETUP_VENV/pyvenv.cfg"
        readlink -f "$SETUP_VENV/bin/python"
        printf '%s\n' "$SETUP_ROOT"
    } | setup_sha256
}

setup_is_current() {
    [ -f "$SETUP_STAMP" ] && [ -x "$SETUP_VENV/bin/python" ] &&
        [ "$(<"$SETUP_STAMP")" = "$(setup_fingerprint)" ]
}

# Prints the name of the first usable Python, or one line that says why there is none.
setup_find_python() {
    local candidate version found=""
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        # A name on PATH may be a shim without a Python behind it: only an answer counts.
        version="$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)" || continue
        if [[ "$version" != 3.1[1-4].* ]]; then
            found="$found, $candidate is $version"
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            found="$found, $candidate has no venv (on Debian or Ubuntu: apt install python${version%.*}-venv)"
        else
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    setup_say "error: Python 3.11 to 3.14 is needed on PATH; found: ${found:+${found#, }}${found:-no python3}."
    return 1
}

# setup_step LABEL COMMAND...: runs the command with its output in the log; prints the label and the time taken.
setup_step() {
    local label="$1" began="$SECONDS"
    shift
    printf '[set-up] %s ... ' "$label" >&2
    if "$@" >>"$SETUP_LOG" 2>&1 </dev/null; then
        printf '%d s\n' "$((SECONDS - began))" >&2
    else
        printf 'failed\n' >&2
        tail -n 12 "$SETUP_LOG" | sed 's/^/    /' >&2
        setup_say "error: \"$label\" failed; the full output is in $SETUP_LOG"
        setup_say "Check the network, the package index and the free disk space, then give the same command again."
        return 1
    fi
}

setup_python() { "$SETUP_VENV/bin/python" "$@"; }

setup_pip() { setup_python -m pip --disable-pip-version-check --no-input --quiet "$@"; }

# Where there is no NVIDIA GPU the CPU build spares gigabytes. What it depends on is in the lock.
setup_torch() {
    local quick=(--no-deps --retries 0 --timeout 10)
    if ! nvidia-smi -L >/dev/null 2>&1; then
        setup_pip install "${quick[@]}" "$SETUP_TORCH+cpu" && return
        setup_pip install "${quick[@]}" --index-url "$SETUP_TORCH_CPU_INDEX" "$SETUP_TORCH+cpu" && return
    fi
    setup_pip install "$SETUP_TORCH"
}

# As `hybrid_batches`, and as `lib`, which is what it is called in a checkout.
setup_project() {
    setup_pip install --no-deps --no-build-isolation -e "$SETUP_ROOT" || return
    setup_python -c "import sys, sysconfig
with open(sysconfig.get_path('purelib') + '/hybrid-batches-checkout.pth', 'w', encoding='utf-8') as file:
    file.write(sys.argv[1] + '\n')" "$SETUP_ROOT"
}

setup_make() {
    local python began="$SECONDS"
    setup_is_current && return # made by another process while this one waited
    python="$(setup_find_python)" || return
    setup_say "making .venv with $("$python" --version): once, a few minutes and 2 GB of disk"
    rm -rf "$SETUP_VENV" && mkdir "$SETUP_VENV" || return
    setup_step "virtual environment" "$python" -m venv "$SETUP_VENV" || return
    setup_step "pinned packages" setup_pip install --require-hashes --no-deps --only-binary :all: \
        -r "$SETUP_ROOT/requirements.lock" || return
    setup_step "$SETUP_TORCH" setup_torch || return
    setup_step "this project" setup_project || return
    setup_step "consistency check" setup_pip check || return
    setup_step "Jupyter kernel" setup_python -m ipykernel install --sys-prefix \
        --name hybrid-batches --display-name "Hybrid batches" || return
    setup_fingerprint >"$SETUP_STAMP.new" && mv "$SETUP_STAMP.new" "$SETUP_STAMP" || return
    setup_say "done in $((SECONDS - began)) s"
}

# One process at a time. Where flock is missing, as on macOS, a folder that holds the owner's process id is the lock.
setup_locked() (
    lock="$SETUP_ROOT/.venv.lock"
    waiting="another set-up is at work in this folder: waiting for it"
    if command -v flock >/dev/null; then
        exec 9>"$lock"
        flock -n 9 || { setup_say "$waiting" && flock 9; }
    else
        until mkdir "$lock.d" 2>/dev/null; do
            owner="$(cat "$lock.d/pid" 2>/dev/null)"
            if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
                rm -rf "$lock.d" # its owner was killed
                continue
            fi
            [ -z "$waiting" ] || setup_say "$waiting (if there is none, remove $lock.d)"
            waiting=""
            sleep 1
        done
        trap 'rm -rf "$lock.d"' EXIT
        printf '%s\n' "$$" >"$lock.d/pid"
    fi
    setup_make
)

# `exit` is for a shell that runs this file instead of sourcing it.
# shellcheck disable=SC2317
setup_is_current || setup_locked || return 1 2>/dev/null || exit 1

export VIRTUAL_ENV="$SETUP_VENV" PATH="$SETUP_VENV/bin:$PATH"
