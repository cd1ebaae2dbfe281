# Private Python environments for the entry points in scripts/. Sourced by POSIX shells, never run.
#
#     SLURMREST_ROOT=/path/of/the/clone; . "$SLURMREST_ROOT/scripts/lib/bootstrap.sh"
#     python=$(slurmrest_venv run) || exit $?        # or: test
#
# An environment is named after what went into it: its kind, its Python and a hash of its requirements. It counts
# as ready once the marker inside holds the clone's path, so a half-made or moved one is made anew. A file lock makes
# parallel runs wait for the one that builds. SLURMREST_PYTHON=/some/python overrides the choice of the interpreter.

_slurmrest_say() {
    printf 'slurmrest: %s\n' "$*" >&2
}

# Exit codes of the probe: 0 usable, 3 only the venv or ensurepip module is missing, others unusable.
_slurmrest_probe='
import sys
if sys.version_info < (3, 11):
    sys.exit(4)
try:
    import ssl
except ImportError:
    sys.exit(5)
print("%d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit(3)
'

# Run the probe in the interpreter $1: its "major.minor" on stdout.
_slurmrest_probe_python() {
    "$1" -I -c "$_slurmrest_probe" 2>/dev/null </dev/null
}

# Print "<interpreter> <major.minor>" of the newest Python on PATH that really runs and can make environments.
# Returns 1 when there is none, 3 (and prints the best one) when only python3-venv is missing.
_slurmrest_pick_python() {
    _pick_partial=
    if [ -n "${SLURMREST_PYTHON:-}" ]; then
        _pick_names=$SLURMREST_PYTHON
    else
        _pick_names='python3.14 python3.13 python3.12 python3.11 python3'
    fi
    for _pick_name in $_pick_names; do
        case $_pick_name in
            */*) _pick_dirs= ;;
            *) _pick_dirs=$PATH ;;
        esac
        _pick_rest=$_pick_dirs:
        while [ -n "$_pick_rest" ]; do
            _pick_dir=${_pick_rest%%:*}
            _pick_rest=${_pick_rest#*:}
            _pick_file=${_pick_dir:+$_pick_dir/}$_pick_name
            [ -x "$_pick_file" ] || continue
            _pick_code=0
            _pick_version=$(_slurmrest_probe_python "$_pick_file") || _pick_code=$?
            if [ "$_pick_code" -eq 0 ]; then
                printf '%s %s\n' "$_pick_file" "$_pick_version"
                return 0
            elif [ "$_pick_code" -eq 3 ] && [ -z "$_pick_partial" ]; then
                _pick_partial="$_pick_file $_pick_version"
            fi
        done
    done
    [ -n "$_pick_partial" ] || return 1
    printf '%s\n' "$_pick_partial"
    return 3
}

# For the reason $1, install (as root) or ask for (otherwise) the Debian packages that follow. Returns 2 when it cannot.
_slurmrest_need_packages() {
    _reason=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        _slurmrest_say "$_reason; install Python 3.11 or later with its venv module, then run this again"
        return 2
    elif [ "$(id -u)" -ne 0 ]; then
        _slurmrest_say "$_reason; run this, then try again:"
        printf '    sudo apt-get install %s\n' "$*" >&2
        return 2
    fi
    _slurmrest_say "$_reason: installing $* with apt-get"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$@"; } >&2 </dev/null || {
        _slurmrest_say "apt-get could not install $*"
        return 2
    }
}

# What the command line that follows takes of this host besides, asked with the interpreter $1: says what is missing, and
# returns 2, or prints the packages alone where the first word is --packages.
_slurmrest_needed() {
    _needed_python=$1
    shift
    case " $* " in *' cluster up '*) ;; *) return 0 ;; esac
    PYTHONPATH="$SLURMREST_ROOT/src:$SLURMREST_ROOT/plugins/module_utils" \
        "$_needed_python" -P -m slurmrest_toolkit.containers.prerequisites "$@"
}

# Like _slurmrest_pick_python, after installing what Debian ships separately. Returns 2 when there is no way.
# The command line that follows says what else is asked for, in the same list.
_slurmrest_python() {
    _python_code=0
    _python_found=$(_slurmrest_pick_python) || _python_code=$?
    if [ "$_python_code" -ne 0 ] && [ -n "${SLURMREST_PYTHON:-}" ]; then
        _slurmrest_say "SLURMREST_PYTHON=$SLURMREST_PYTHON does not run, is older than 3.11, or lacks ssl or venv"
        return 2
    elif [ "$_python_code" -eq 3 ]; then
        _python_more=$(_slurmrest_needed "${_python_found% *}" --packages "$@") || return 2
        # shellcheck disable=SC2086 # one word for each package
        _slurmrest_need_packages "${_python_found% *} lacks the venv module" \
            "python${_python_found##* }-venv" $_python_more || return 2
    elif [ "$_python_code" -ne 0 ]; then
        _slurmrest_need_packages 'no Python 3.11 or later that runs was found on PATH' python3 python3-venv || return 2
    fi
    if [ "$_python_code" -ne 0 ]; then
        _python_found=$(_slurmrest_pick_python) || {
            _slurmrest_say 'still no Python 3.11 or later with ssl and venv on PATH'
            return 2
        }
    fi
    printf '%s\n' "$_python_found"
}

# Is the environment $1 complete, made for this clone, and its interpreter still there?
_slurmrest_ready() {
    _ready_root=
    [ -x "$1/bin/python" ] && [ -r "$1/.ready" ] && IFS= read -r _ready_root <"$1/.ready"
    [ "$_ready_root" = "$SLURMREST_ROOT" ]
}

# Give directory $1 of a clone to its owner where that is who called sudo: scripts of theirs write there, too.
_slurmrest_hand_over() {
    [ "$(id -u)" != 0 ] || [ "${SUDO_UID:-0}" = 0 ] || [ "$(stat -c %u "$SLURMREST_ROOT")" != "$SUDO_UID" ] ||
        chown -hRP "$SUDO_UID:$SUDO_GID" "$1"
}

# Remove environments of the kind $1 whose requirements are not those of hash $2, unless a process runs from them.
_slurmrest_remove_stale() {
    for _stale in "$SLURMREST_ROOT/.slurmrest/venv-$1-"*; do
        case $_stale in *-"$2" | *'*') continue ;; esac
        grep -qsF -- "$_stale/" /proc/[0-9]*/cmdline || rm -rf -- "$_stale"
    done
}

# Build the environment $1 of the kind $2 with the interpreter $3.
_slurmrest_build() {
    _build_start=$(date +%s)
    _slurmrest_say "making the private environment ${1##*/} with $3"
    rm -rf -- "$1"
    "$3" -m venv "$1" >&2 || {
        _slurmrest_say "$3 could not make a virtual environment in $1"
        return 2
    }
    "$1/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --require-hashes \
        -r "$SLURMREST_ROOT/requirements/$2.txt" >"$1/pip.log" 2>&1 </dev/null || {
        _slurmrest_say "pip could not install requirements/$2.txt; its last words:"
        tail -n 15 "$1/pip.log" >&2
        return 2
    }
    # The clone's packages (slurmrest_toolkit, the engine as slurmrest; tests, benchmarks) become importable in this environment.
    for _build_site in "$1"/lib/python*/site-packages; do
        printf '%s\n' "$SLURMREST_ROOT" "$SLURMREST_ROOT/src" \
            "$SLURMREST_ROOT/plugins/module_utils" >"$_build_site/slurmrest-clone.pth"
    done
    printf '%s\n' "$SLURMREST_ROOT" >"$1/.ready"
    _slurmrest_say "environment ready after $(($(date +%s) - _build_start)) s"
}

# Print the interpreter of the private environment of the kind $1 (run or test), making it first where needed.
# Returns 2 when it cannot be made; the reason is on stderr. What follows the kind is the command line that it is for: what
# that takes of this host is said before the environment is made.
slurmrest_venv() (
    set -u
    _kind=$1
    shift
    _base=$SLURMREST_ROOT/.slurmrest
    _hash=$(sha256sum <"$SLURMREST_ROOT/requirements/$_kind.txt") || return 2
    _hash=$(printf '%.12s' "$_hash")
    if [ -z "${SLURMREST_PYTHON:-}" ]; then
        for _version in 3.14 3.13 3.12 3.11; do
            if _slurmrest_ready "$_base/venv-$_kind-$_version-$_hash"; then
                printf '%s\n' "$_base/venv-$_kind-$_version-$_hash/bin/python"
                return 0
            fi
        done
    fi
    _picked=$(_slurmrest_python "$@") || return 2
    _venv=$_base/venv-$_kind-${_picked##* }-$_hash
    if ! _slurmrest_ready "$_venv"; then
        _slurmrest_needed "${_picked% *}" "$@" || return 2
        mkdir -p -- "$_base" 2>/dev/null
        [ -w "$_base" ] || {
            _slurmrest_say "$_base is not writable for $(id -un): its environment belongs into a clone of one's own"
            return 2
        }
        exec 9>"$_base/lock"
        flock -n 9 || {
            _slurmrest_say 'waiting for another run that makes its environment'
            flock 9
        }
        if ! _slurmrest_ready "$_venv"; then
            # The lock is not passed on: a child that outlives this shell would hold it.
            _slurmrest_build "$_venv" "$_kind" "${_picked% *}" 9>&- || return 2
            _slurmrest_remove_stale "$_kind" "$_hash"
            _slurmrest_hand_over "$_base"
        fi
    fi
    printf '%s\n' "$_venv/bin/python"
)
