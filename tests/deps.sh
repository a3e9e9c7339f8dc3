#!/bin/sh
# Installs on Debian what is missing to build (deps.sh build), to build and test (deps.sh
# check), the same for other machines (deps.sh foreign), to run the cluster (deps.sh cluster),
# the soak (deps.sh soak), the siege (deps.sh siege) or the benchmark (deps.sh bench). Looks for
# the things themselves, wherever they came from, and is silent when all are there.
set -u
cd "$(dirname "$0")/.." || exit 1

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # nginx on Debian is there, outside users' PATH

as_root=''
[ "$(id -u)" -eq 0 ] || as_root=sudo

usage() { echo "usage: tests/deps.sh build|check|foreign|cluster|soak|siege|bench" >&2; exit 2; }

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

# Compilers know more directories than these, but take much longer to ask.
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

libfuzzer() { ls "$(clang++ -print-runtime-dir)"/libclang_rt.fuzzer*.a; }

need_node_ws()
{
    # Only if there is none: Debian's must not replace one from elsewhere.
    need nodejs Node.js program node
    need node-ws "Node's ws" node_ws
}

any_firefox() { program firefox-esr || program firefox; }

node_ws() { [ -e /usr/share/nodejs/ws ] || node -e 'require("ws")'; }

# The charts' program, and the servers to compare with.
look_for_bench()
{
    need gnuplot-nox gnuplot program gnuplot
    need zlib1g-dev "zlib's headers" header zlib.h
    need_node_ws
    need libwebsockets-dev "libwebsockets' headers" header libwebsockets.h
    need libboost-dev "Boost's headers" header boost/beast.hpp
    need libwebsocketpp-dev "websocketpp's headers" header websocketpp/server.hpp
    need golang-go Go program go
    need golang-github-gorilla-websocket-dev "Go's gorilla/websocket" \
        test -e /usr/share/gocode/src/github.com/gorilla/websocket
}

look_for_foreign()
{
    for triplet in arm-linux-gnueabihf aarch64-linux-gnu s390x-linux-gnu; do
        need "g++-$triplet" "a compiler for $triplet" program "$triplet-g++"
    done
    need qemu-user-static qemu program qemu-s390x-static
    need clang clang program clang++
    need doctest-dev doctest header doctest/doctest.h
    need libevent-dev "libevent's headers" header event2/event.h
    need libhiredis-dev "hiredis' headers" header hiredis/hiredis.h
}

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
    need zlib1g-dev "zlib's headers" header zlib.h
    [ "$1" = build ] && return
    if [ "$1" = cluster ]; then
        need libhiredis-dev "hiredis' headers" header hiredis/hiredis.h
        need redis-tools redis-server redis_server
        return
    fi
    need python3 "Python at /usr/bin/python3" program /usr/bin/python3
    [ "$1" = siege ] && return
    if [ "$1" = bench ]; then
        look_for_bench
        return
    fi
    if [ "$1" = foreign ]; then
        look_for_foreign
        return
    fi
    need python3-websockets "Python's websockets" python_module websockets
    if [ "$1" = soak ]; then
        need gnuplot-nox gnuplot program gnuplot
        return
    fi
    need g++ g++ program g++
    need clang clang program clang++
    need libclang-rt-dev "clang's libFuzzer" libfuzzer
    need doctest-dev doctest header doctest/doctest.h
    need libevent-dev "libevent's headers" header event2/event.h
    need nlohmann-json3-dev "nlohmann's JSON headers" header nlohmann/json.hpp
    need libhiredis-dev "hiredis' headers" header hiredis/hiredis.h
    need redis-tools redis-server redis_server
    need python3-pil "Python's PIL" python_module PIL
    need_node_ws
    need chromium Chromium program chromium
    need firefox-esr Firefox any_firefox
    need mandoc mandoc program mandoc
    need cmake CMake program cmake
}

# Debian's redis-server package starts a server. But the program itself is in redis-tools, which does
# not, under another name. By its own name it is the server.
redis_server()
{
    program redis-server || [ -x build/redis-server ] || {
        checker=$(program redis-check-rdb) && mkdir -p build && ln -sf "$checker" build/redis-server
    }
}

install()
{
    # Unquoted: one word per package.
    set -- apt-get install -y --no-install-recommends --no-remove $missing_packages
    if ! command -v apt-get >/dev/null; then
        echo "deps.sh: missing: $missing. There is no apt-get; Debian's packages are called" \
            $missing_packages >&2
        return 1
    fi
    if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
        echo "deps.sh: missing: $missing. As root, run: apt-get update && $*" >&2
        return 1
    fi
    echo "deps.sh: missing: $missing. Installing${as_root:+ with sudo}:$missing_packages"
    $as_root apt-get update || echo "deps.sh: going on with the package lists there are" >&2
    $as_root env DEBIAN_FRONTEND=noninteractive "$@"
}

# Servers are not installed: Debian would start them at once and at every boot, nginx on port
# 80. Only the program that is needed is taken out of its package, to build/.

download() # PACKAGE, to the current directory
{
    set -- apt-get -o APT::Sandbox::User=root download "$1"
    "$@" || { $as_root apt-get update && "$@"; }
}

# take_out PACKAGE PATH_IN_IT: to build/, under its name.
take_out()
{
    taken=build/${2##*/}
    rm -rf "$taken.d"
    mkdir -p "$taken.d" && (
        cd "$taken.d" && download "$1" &&
            dpkg-deb --fsys-tarfile ./"$1"_*.deb | tar -x "./$2"
    ) && ! ldd "$taken.d/$2" | grep 'not found' && mv "$taken.d/$2" "$taken"
    status=$?
    rm -rf "$taken.d"
    return $status
}

# need_program PACKAGE PATH_IN_IT: an installed one will do, too.
need_program()
{
    name=${2##*/}
    if [ -x "build/$name" ] || program "$name" >/dev/null; then
        return
    fi
    echo "deps.sh: missing: $name. Taking it out of Debian's package $1"
    if ! take_out "$1" "$2"; then
        echo "deps.sh: still missing: $name, as build/$name or in the PATH" >&2
        return 1
    fi
}

# Other machines' OpenSSL and zlib go to build/foreign/openssl. With its own package lists, apt need
# not be told of other architectures, which would be permanent and for the whole system.
foreign=build/foreign/openssl
foreign_architectures='armhf arm64 s390x'

foreign_apt() # COMMAND...
{
    mkdir -p "$foreign/lists/partial" "$foreign/cache/archives/partial"
    (cd "$foreign" && apt-get -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o APT::Architecture=armhf -o APT::Architectures::=armhf \
        -o APT::Architectures::=arm64 -o APT::Architectures::=s390x \
        -o Dir::State::status=/dev/null \
        -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" "$@")
}

need_foreign_libraries()
{
    for package in libssl-dev zlib1g-dev; do
        [ ! -e "$foreign/$package" ] || continue
        echo "deps.sh: missing: $package for $foreign_architectures. Unpacking Debian's packages"
        foreign_apt -qq update || echo "deps.sh: going on with the package lists there are" >&2
        for architecture in $foreign_architectures; do
            rm -f "$foreign"/*.deb
            foreign_apt download "$package:$architecture" &&
                dpkg-deb -x "$foreign/$package"_*_"$architecture".deb "$foreign/$architecture" ||
                return 1
        done
        touch "$foreign/$package"
    done
}

[ $# -eq 1 ] || usage
case $1 in
build | check | foreign | cluster | soak | siege | bench) ;;
*) usage ;;
esac

look "$1"
if [ -n "$missing" ]; then
    install || exit 1
    look "$1"
fi
if [ -n "$missing" ]; then
    echo "deps.sh: still missing: $missing" >&2
    exit 1
fi
case $1 in
check) need_program nginx usr/sbin/nginx && need_program prometheus usr/bin/promtool ;;
foreign) need_foreign_libraries ;;
cluster | bench) need_program nginx usr/sbin/nginx ;;
esac
