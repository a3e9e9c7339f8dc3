#!/bin/sh
# Installs what is missing to build (deps.sh build) or to build and test (deps.sh
# check) on Debian. Looks for the things themselves, wherever they came from, and is
# silent when all are there.
set -u

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # Debian keeps nginx there, and out of users' PATH

usage() { echo "usage: tests/deps.sh build|check" >&2; exit 2; }

# need PACKAGES WHAT TEST...: WHAT is there if the command TEST... succeeds.
need()
{
    packages=$1 what=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing_packages="$missing_packages $packages"
        missing="${missing:+$missing, }$what"
    fi
}

program() { command -v "$1"; }

# Compilers know more directories than these, but take far longer to ask.
header()
{
    for directory in /usr/include /usr/include/*-linux-gnu* /usr/local/include; do
        [ -e "$directory/$1" ] && return
    done
    return 1
}

python_module() # without importing it, which takes ten times as long
{
    /usr/bin/python3 -c 'import sys, importlib.util as util
sys.exit(util.find_spec(sys.argv[1]) is None)' "$1"
}

node_ws() { [ -e /usr/share/nodejs/ws ] || node -e 'require("ws")'; }

look()
{
    missing_packages='' missing=''
    need gcc "a C compiler" program cc
    need libc6-dev "the C library's headers" header stdio.h
    need g++ "a C++ compiler" program c++
    need make make program make
    need pkg-config pkg-config program pkg-config
    need libssl-dev "OpenSSL's headers" header openssl/ssl.h
    need openssl "the openssl program" program openssl
    [ "$1" = build ] && return
    need g++ g++ program g++
    need clang clang program clang++
    need doctest-dev doctest header doctest/doctest.h
    need libevent-dev "libevent's headers" header event2/event.h
    need python3 "Python at /usr/bin/python3" program /usr/bin/python3
    need python3-websockets "Python's websockets" python_module websockets
    need python3-pil "Python's PIL" python_module PIL
    # Only without any: Debian's is not to replace one from elsewhere.
    need nodejs Node.js program node
    need node-ws "Node's ws" node_ws
    need chromium Chromium program chromium
    need nginx nginx program nginx
    need mandoc mandoc program mandoc
}

install()
{
    # Unquoted: a word for each package.
    set -- apt-get install -y --no-install-recommends --no-remove $missing_packages
    if ! command -v apt-get >/dev/null; then
        echo "deps.sh: missing: $missing. There is no apt-get; Debian's packages are called" \
            $missing_packages >&2
        return 1
    fi
    as_root=''
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "deps.sh: missing: $missing. As root, run: apt-get update && $*" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "deps.sh: missing: $missing. Installing${as_root:+ with sudo}:$missing_packages"
    $as_root apt-get update || echo "deps.sh: going on with the package lists there are" >&2
    $as_root env DEBIAN_FRONTEND=noninteractive "$@"
}

[ $# -eq 1 ] || usage
case $1 in
build | check) ;;
*) usage ;;
esac

look "$1"
[ -z "$missing" ] && exit
install || exit 1
look "$1"
[ -z "$missing" ] && exit
echo "deps.sh: still missing: $missing" >&2
exit 1
