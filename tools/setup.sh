#!/usr/bin/env bash
# Sets up what the Makefile's targets need, on a machine that has git, make and python3 only.
#
#   tools/setup.sh venv [GROUP ...]   .venv with galeph, editable, and these dependency groups
#   tools/setup.sh system             the programs the tests drive
#   tools/setup.sh compiler           what the benchmarks' load generator is compiled with
#
# Missing Debian packages are installed where that is allowed (root, or sudo without a password);
# elsewhere the script names the command to run and stops. A second run changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

say() { echo "setup: $*" >&2; }

apt_install() {
    local -a as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if ! command -v apt-get >/dev/null; then
        say "missing: $*"
        say "these are Debian's package names; install what your system calls them, then try again"
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        say "missing: $*; install them, then try again:"
        say "    sudo apt-get install --no-install-recommends $*"
        exit 1
    fi
    say "installing $*"
    # A package source that does not answer need not be one of ours: install decides.
    "${as_root[@]}" apt-get update -qq </dev/null || say "apt-get update failed, going on"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# -- Python

is_supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

can_make_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# The newest supported Python, those first that can make a venv as they are.
find_python() {
    local candidate fallback=
    for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        is_supported "$candidate" || continue
        if can_make_venvs "$candidate"; then
            echo "$candidate"
            return
        fi
        fallback=${fallback:-$candidate}
    done
    echo "$fallback"
}

make_venv() {
    if [ -x .venv/bin/python ] && is_supported .venv/bin/python &&
        .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python
    python=$(find_python)
    if [ -z "$python" ]; then
        apt_install python3 python3-venv
        python=$(find_python)
        if [ -z "$python" ]; then
            say "galeph needs Python 3.11 or newer, found $(python3 --version 2>&1)"
            exit 1
        fi
    fi
    if ! can_make_venvs "$python"; then
        # Debian keeps ensurepip in a package of its own, one for each version.
        apt_install "$(basename "$python")-venv"
    fi
    "$python" -m venv --clear .venv
}

set_up_venv() {
    local -a wanted=()
    local group
    for group in "$@"; do wanted+=(--group "$group"); done
    make_venv
    # --group came with pip 25.1.
    .venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --editable . "${wanted[@]}"
}

# -- programs

set_up_system() {
    local -a missing=()
    local program package
    PATH=$PATH:/usr/sbin:/sbin
    while read -r program package; do
        command -v "$program" >/dev/null || missing+=("$package")
    done <<'PROGRAMS'
chromium chromium
chromedriver chromium-driver
nginx nginx-light
unbound unbound
haproxy haproxy
socat socat
systemd-socket-activate systemd
wrk wrk
curl curl
openssl openssl
nc netcat-openbsd
openssl openssl
testssl testssl.sh
node nodejs
git git
make make
strace strace
faketime faketime
PROGRAMS
    if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
}

set_up_compiler() {
    # gcc only recommends the headers.
    if ! command -v cc >/dev/null || [ ! -e /usr/include/stdio.h ]; then
        apt_install gcc libc6-dev
    fi
    # For the load of the TLS cases.
    if [ ! -e /usr/include/openssl/ssl.h ]; then apt_install libssl-dev; fi
}

case ${1:-} in
venv) shift && set_up_venv "$@" ;;
system) set_up_system ;;
compiler) set_up_compiler ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
