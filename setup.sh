# shellcheck shell=bash
# Makes the virtual environment .venv beside this file and activates it: `source ./setup.sh`.
#
# The first time it installs the pinned packages, by uv in about a minute; after that it only compares one hash.
# That hash stands in .venv/.setup-stamp, which is written last: an environment that was left half-made or moved,
# or that belongs to another lock file or another Python, is noticed and made again.
#
# With SETUP_WITH=tests it adds what only tests need, of which the stamp's second line is the hash.

unset PYTHONHOME PYTHONPATH # they would put other packages before the pinned ones
unset PYTHONDONTWRITEBYTECODE # uv compiles nothing ahead: each start of Python would compile torch anew, half a minute
# They, or the same in a pip.conf, would make pip install elsewhere than in .venv.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN PIP_NO_INSTALL
export PIP_USER=0

SETUP_ROOT="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
SETUP_VENV="$SETUP_ROOT/.venv"
SETUP_STAMP="$SETUP_VENV/.setup-stamp"
SETUP_LOG="$SETUP_VENV/setup.log"
SETUP_UV="$SETUP_VENV/bin/uv"
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

setup_stamped() { sed -n "$1p" "$SETUP_STAMP" 2>/dev/null; }

setup_is_current() {
    [ -f "$SETUP_STAMP" ] && [ -x "$SETUP_VENV/bin/python" ] &&
        [ "$(setup_stamped 1)" = "$(setup_fingerprint)" ]
}

setup_has_tests() { [ "$(setup_stamped 2)" = "$(setup_sha256 <"$SETUP_ROOT/requirements-test.lock")" ]; }

setup_is_ready() { setup_is_current && { [ "${SETUP_WITH:-}" != tests ] || setup_has_tests; }; }

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

# setup_try LABEL COMMAND...: runs the command with its output in the log; prints the label and the time taken.
setup_try() {
    local label="$1" began="$SECONDS"
    shift
    printf '[set-up] %s ... ' "$label" >&2
    if "$@" >>"$SETUP_LOG" 2>&1 </dev/null; then
        printf '%d s\n' "$((SECONDS - began))" >&2
    else
        printf 'failed\n' >&2
        return 1
    fi
}

# setup_step LABEL COMMAND...: as setup_try; a failure is the end, and says what to do.
setup_step() {
    local label="$1"
    if ! setup_try "$@"; then
        tail -n 12 "$SETUP_LOG" | sed 's/^/    /' >&2
        setup_say "error: \"$label\" failed; the full output is in $SETUP_LOG"
        setup_say "Check the network, the package index and the free disk space, then give the same command again."
        return 1
    fi
}

setup_python() { "$SETUP_VENV/bin/python" "$@"; }

setup_pip() { setup_python -m pip --disable-pip-version-check --no-input --quiet "$@"; }

# What pip was told of indexes, certificates and proxies, as lines NAME=VALUE for uv, which does not read it.
setup_uv_settings() {
    setup_python -m pip --disable-pip-version-check config list 2>/dev/null | setup_python -c '
import ast, os, sys
told = {}
lines = [line.strip().partition("=") for line in sys.stdin if "=" in line]
for kind in ("global.", "install.", ":env:."):  # what comes later counts
    told |= {name.removeprefix(kind): ast.literal_eval(value) for name, _, value in lines if name.startswith(kind)}
links = [x for x in told.get("find-links", "").split() if "://" in x or os.path.exists(os.path.expanduser(x))]
uv = {
    "UV_DEFAULT_INDEX": told.get("index-url"),
    "UV_INDEX": " ".join(told.get("extra-index-url", "").split()),
    "UV_FIND_LINKS": ",".join(map(os.path.expanduser, links)),
    "UV_INSECURE_HOST": " ".join(told.get("trusted-host", "").split()),
    "UV_HTTP_TIMEOUT": told.get("timeout", told.get("default-timeout")),
    "SSL_CERT_FILE": told.get("cert"),
    "SSL_CLIENT_CERT": told.get("client-cert"),
    "ALL_PROXY": told.get("proxy"),
}
for name, value in uv.items():
    if value and name not in os.environ:
        print(f"{name}={value}")
if told.get("no-index", "0") in ("1", "true", "yes", "on"):
    print("UV_NO_INDEX=1")
'
}

# setup_uv SUBCOMMAND ARGUMENTS...: uv pip for .venv, as pip is set up; the index with the best match, as pip takes it.
setup_uv() (
    [ -x "$SETUP_UV" ] || return
    unset UV_OVERRIDE UV_EXCLUDE UV_CONSTRAINT UV_NO_VERIFY_HASHES UV_TORCH_BACKEND UV_WORKING_DIR UV_SYSTEM_PYTHON
    while IFS= read -r setting; do [ -z "$setting" ] || export "${setting?}"; done <<<"${SETUP_UV_SETTINGS:-}"
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
    cache="$("$SETUP_UV" cache dir 2>/dev/null)"
    mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || export UV_NO_CACHE=1
    subcommand="$1"
    shift
    "$SETUP_UV" pip "$subcommand" --quiet --python "$SETUP_VENV/bin/python" "$@"
)

setup_uv_itself() {
    setup_pip install --require-hashes --no-deps --only-binary :all: -r "$SETUP_ROOT/requirements-uv.lock"
}

# setup_install LABEL ARGUMENTS...: by uv; by pip, which says so, where uv is missing or does not manage.
setup_install() {
    local label="$1"
    shift
    if [ -x "$SETUP_UV" ]; then
        setup_try "$label" setup_uv install "$@" && return
        setup_say "uv could not install them (why: $SETUP_LOG); pip tries, which takes minutes"
    fi
    setup_step "$label" setup_pip install "$@"
}

setup_locked_packages() { # LABEL LOCK
    setup_install "$1" --require-hashes --no-deps --only-binary :all: -r "$SETUP_ROOT/$2"
}

# setup_quick ARGUMENTS...: an attempt that is given up at once where there is no network.
setup_quick() {
    if [ -x "$SETUP_UV" ]; then
        UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=10 setup_uv install --no-deps "$@"
    else
        setup_pip install --no-deps --retries 0 --timeout 10 "$@"
    fi
}

# Where there is no NVIDIA GPU the CPU build spares gigabytes. What it depends on is in the lock.
setup_torch() {
    if ! nvidia-smi -L >/dev/null 2>&1; then
        setup_quick "$SETUP_TORCH+cpu" && return
        setup_quick --index-url "$SETUP_TORCH_CPU_INDEX" "$SETUP_TORCH+cpu" && return
    fi
    setup_uv install "$SETUP_TORCH" || setup_pip install "$SETUP_TORCH"
}

# As `hybrid_batches`, and as `lib`, which is what it is called in a checkout.
setup_project() {
    local here=(--no-deps --no-build-isolation -e "$SETUP_ROOT")
    setup_uv install "${here[@]}" || setup_pip install "${here[@]}" || return
    setup_python -c "import sys, sysconfig
with open(sysconfig.get_path('purelib') + '/hybrid-batches-checkout.pth', 'w', encoding='utf-8') as file:
    file.write(sys.argv[1] + '\n')" "$SETUP_ROOT"
}

setup_check() { if [ -x "$SETUP_UV" ]; then setup_uv check; else setup_pip check; fi; }

# The kernel that ipykernel brings, under a name of its own, with this Python whatever PATH says. Jupyter takes
# seconds to write as much.
setup_kernel() {
    local kernels="$SETUP_VENV/share/jupyter/kernels"
    rm -rf "$kernels/hybrid-batches"
    cp -R "$kernels/python3" "$kernels/hybrid-batches" || return
    setup_python -c '
import json, sys
with open(sys.argv[1] + "/kernel.json", encoding="utf-8") as file:
    spec = json.load(file)
spec["argv"][0], spec["display_name"] = sys.argv[2], "Hybrid batches"
spec["argv"].insert(1, "-Xfrozen_modules=off")  # so that a debugger meets no frozen module

with open(sys.argv[1] + "/kernel.json", "w", encoding="utf-8") as file:
    json.dump(spec, file, indent=1)
' "$kernels/hybrid-batches" "$SETUP_VENV/bin/python"
}

setup_stamp() { printf '%s\n' "$@" >"$SETUP_STAMP.new" && mv "$SETUP_STAMP.new" "$SETUP_STAMP"; }

setup_make() {
    local python began="$SECONDS"
    python="$(setup_find_python)" || return
    setup_say "making .venv with $("$python" --version): once, a minute or more and 2 GB of disk"
    rm -rf "$SETUP_VENV" && mkdir "$SETUP_VENV" || return
    setup_step "virtual environment" "$python" -m venv "$SETUP_VENV" || return
    setup_try "uv, which installs the rest" setup_uv_itself || setup_say "without uv pip installs, which takes minutes"
    SETUP_UV_SETTINGS="$(setup_uv_settings)"
    setup_locked_packages "pinned packages" requirements.lock || return
    setup_step "$SETUP_TORCH" setup_torch || return
    setup_step "this project" setup_project || return
    setup_step "consistency check" setup_check || return
    setup_step "Jupyter kernel" setup_kernel || return
    setup_stamp "$(setup_fingerprint)" || return
    setup_say "done in $((SECONDS - began)) s"
}

setup_add_tests() {
    SETUP_UV_SETTINGS="${SETUP_UV_SETTINGS:-$(setup_uv_settings)}"
    setup_locked_packages "packages of the tests" requirements-test.lock || return
    setup_step "consistency check" setup_check || return
    setup_stamp "$(setup_fingerprint)" "$(setup_sha256 <"$SETUP_ROOT/requirements-test.lock")"
}

# What is missing; nothing, if another process made it while this one waited.
setup_complete() {
    setup_is_current || setup_make || return
    setup_is_ready || setup_add_tests
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
    setup_complete
)

# `exit` is for a shell that runs this file instead of sourcing it.
# shellcheck disable=SC2317
setup_is_ready || setup_locked || return 1 2>/dev/null || exit 1

export VIRTUAL_ENV="$SETUP_VENV" PATH="$SETUP_VENV/bin:$PATH"
