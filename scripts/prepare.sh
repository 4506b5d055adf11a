# shellcheck shell=bash
# Sourced by scripts/run and scripts/test: system packages, the virtual environment, the models.
# Everything here is idempotent, asks nothing when there is no terminal, and needs bash.

say() { printf '== %s\n' "$*" >&2; }

die() {
    local code=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$code"
}

# Runs a command as root: directly, through sudo, or not at all with a message that names it.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@" </dev/null
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo -- "$@"
    else
        die 1 "this needs root: $*. Run it as root, then run this script again."
    fi
}

have_package() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# system_packages PACKAGE…: installs those that are missing; apt-get update runs at most once.
system_packages() {
    local missing=() package
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: make sure that these or their equivalents are installed: $*"
        return
    fi
    for package in "$@"; do
        have_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing system packages: ${missing[*]}"
    if [ -z "${apt_is_fresh:-}" ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2
        apt_is_fresh=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing[@]}" >&2
}

# Says whether a Python is new enough and complete: with venv, pip's seed and headers.
good_python() {
    "$1" - <<'PYTHON' >/dev/null 2>&1
import ensurepip, os, sys, sysconfig, venv
assert sys.version_info >= (3, 11)
assert os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
PYTHON
}

# Sets $python to the interpreter to build on. The system's comes first: every user can run it.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/bin/python3.1[1-9] "$(command -v python3 || true)"; do
        if [ -x "$candidate" ] && good_python "$candidate"; then
            python=$candidate
            return
        fi
    done
    return 1
}

# prepare_system EXTRA_PACKAGE…: installs what tagfs needs from the system; sets $python.
prepare_system() {
    system_packages fuse3 libfuse3-dev pkg-config gcc libc6-dev ca-certificates "$@"
    if ! find_python; then
        system_packages python3 python3-dev python3-venv
        find_python || system_packages python3.11 python3.11-dev python3.11-venv
        find_python || die 1 "tagfs needs Python 3.11 or later with its headers and venv."
    fi
    if [ ! -e /dev/fuse ] && command -v modprobe >/dev/null; then
        (as_root modprobe fuse) || true
    fi
    # systemd mounts it; without it nobody can free who waits for a tagfs that was killed.
    if [ -d /sys/fs/fuse/connections ] && ! mountpoint -q /sys/fs/fuse/connections; then
        (as_root mount -t fusectl fusectl /sys/fs/fuse/connections) 2>/dev/null ||
            say "fusectl could not be mounted; tagfs doctor says what that means"
    fi
}

# Reads what pip may not be asked for twice: the pinned requirements and the interpreter.
requirements_stamp() {
    {
        "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
        cat "$@" pyproject.toml
    } | sha256sum
}

# make_venv REQUIREMENTS…: .venv with exactly those versions, and tagfs itself, editable.
make_venv() {
    local stamp
    stamp=$(requirements_stamp requirements/build.txt "$@")
    if [ -x .venv/bin/tagfs ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    say "making .venv with $("$python" -V), $*"
    # Not -m venv --clear: that would leave a half-made folder in place when it is interrupted.
    rm -rf .venv
    "$python" -m venv .venv
    local pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet --no-input install
        --no-deps --no-build-isolation)
    "${pip[@]}" --require-hashes --requirement requirements/build.txt </dev/null
    local file
    for file in "$@"; do
        "${pip[@]}" --require-hashes --requirement "$file" </dev/null
    done
    "${pip[@]}" --editable . </dev/null
    .venv/bin/python -m pip --disable-pip-version-check check >&2
    printf '%s\n' "$stamp" >.venv/stamp
}

# Says whether this checkout's tagfs has a command.
has_command() {
    .venv/bin/tagfs "$@" --help >/dev/null 2>&1 </dev/null
}

get_models() {
    .venv/bin/tagfs models install </dev/null >&2
}
