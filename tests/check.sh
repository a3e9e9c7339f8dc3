#!/bin/sh
# Runs every test: builds what they need, then runs the suites through run.py, whose last line
# is "N passed, N failed". Called by `make check`.
set -u
cd "$(dirname "$0")/.." || exit 1

py='/usr/bin/python3 -B'
jobs="-j$(nproc)"
make="make --no-print-directory $jobs WERROR=-Werror"
# That a file does not include what it uses, which precompiled headers hide, is found by
# include_test.py.
pre="'PRECOMPILED=src tests'"
# One test program, built three ways: as shipped, and with each sanitizer. clang makes one of
# them and so checks the locking (-Wthread-safety) of its sources; the rest it only parses.
tsan='BUILD=build/tsan SANITIZE=thread'
asan='BUILD=build/asan SANITIZE=address,undefined CC=clang CXX=clang++'
rest="'SOURCES=tests/conformance/*.cpp tests/bench/*.cpp tests/bench/*.c tests/siege/*.cpp tests/siege/*.c demo/*.c demo/*/*.c demo/*/*.cpp'"
# The server tests once more, over TLS.
tls=TEST_TRANSPORT=tls
quick='CFLAGS=-O1 CXXFLAGS=-O1'
shipped='CFLAGS=-O2 CXXFLAGS=-O2' # -g does not change the code, and takes time
# Those that measure no memory, and need no shared object.
c_apps='ChatTest PricesTest FilesTest BridgeTest'
asan_demos='build/asan/demo/websock-demo build/asan/demo/chat build/asan/demo/prices build/asan/demo/files build/asan/demo/bridge'
# Leaks count; a data race ends the program with an error.
export ASAN_OPTIONS=detect_leaks=1 TSAN_OPTIONS=halt_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1

# The tests wait more than they compute, so five suites share two processors well. The longest
# come first, so that none is left alone at the end.
exec /usr/bin/python3 -B tests/run.py --time-limit 500 --jobs 5 \
    "build:build:$make $pre $shipped all shared build/demo/libevent test-programs conformance-program" \
    "build under ThreadSanitizer:build:$make $tsan $pre $quick test-programs test-demos" \
    "build under AddressSanitizer, clang:build:$make $asan $pre $quick test-programs $asan_demos" \
    "build of the fuzz targets:build:$make $asan $quick fuzz-programs" \
    "unit and server, ThreadSanitizer:doctest:env BUILD=build/tsan build/tsan/tests/unit" \
    "servers over TLS, ThreadSanitizer:doctest:env $tls BUILD=build/tsan build/tsan/tests/unit" \
    "Chromium:unittest:$py tests/interop/chromium_test.py -b" \
    "unit and server, AddressSanitizer:doctest:env BUILD=build/asan build/asan/tests/unit" \
    "servers over TLS, AddressSanitizer:doctest:env $tls BUILD=build/asan build/asan/tests/unit" \
    "unit and server:doctest:build/tests/unit" \
    "servers over TLS:doctest:env $tls build/tests/unit" \
    "C++ face, ThreadSanitizer:doctest:env BUILD=build/tsan build/tsan/tests/cpp/run" \
    "C++ face over TLS, ThreadSanitizer:doctest:env $tls BUILD=build/tsan build/tsan/tests/cpp/run" \
    "C++ face, AddressSanitizer:doctest:env BUILD=build/asan build/asan/tests/cpp/run" \
    "C++ face:doctest:build/tests/cpp/run" \
    "C++ face over TLS:doctest:env $tls build/tests/cpp/run" \
    "nodes with Redis, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/redis/nodes_test.py -b" \
    "nodes with Redis:unittest:$py tests/redis/nodes_test.py -b" \
    "demo, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/interop/demo_test.py -b" \
    "conformance over TLS:doctest:env TEST_TRANSPORT=tls build/tests/conformance/run" \
    "demo:unittest:$py tests/interop/demo_test.py -b" \
    "Redis, ThreadSanitizer:doctest:build/tsan/tests/redis/unit" \
    "Redis, AddressSanitizer:doctest:build/asan/tests/redis/unit" \
    "conformance:doctest:build/tests/conformance/run" \
    "conformance of sessions:doctest:env TEST_STYLE=session build/tests/conformance/run" \
    "conformance in parts:doctest:env TEST_STYLE=parts build/tests/conformance/run" \
    "uploads:unittest:$py tests/interop/upload_test.py -b" \
    "streams:unittest:$py tests/interop/streams_test.py -b" \
    "install:unittest:$py tests/install_test.py" \
    "examples:unittest:$py tests/examples.py" \
    "Redis:doctest:build/tests/redis/unit" \
    "cluster:unittest:$py tests/interop/cluster_test.py -b" \
    "applications:unittest:$py tests/interop/apps_test.py -b" \
    "applications, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/interop/apps_test.py -b $c_apps RpcTest" \
    "applications, AddressSanitizer:unittest:env BUILD=build/asan $py tests/interop/apps_test.py -b $c_apps" \
    "files of the demo:unittest:$py tests/interop/transfer_test.py -b" \
    "clang, the rest:command:make --no-print-directory $jobs CC=clang CXX=clang++ WERROR=-Werror BUILD=build/clang $rest syntax" \
    "environment, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/interop/environment_test.py -b" \
    "environment:unittest:$py tests/interop/environment_test.py -b" \
    "raw sockets, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/interop/raw_socket_test.py -b" \
    "raw sockets, AddressSanitizer:unittest:env BUILD=build/asan $py tests/interop/raw_socket_test.py -b" \
    "raw sockets:unittest:$py tests/interop/raw_socket_test.py -b" \
    "TLS, ThreadSanitizer:unittest:env BUILD=build/tsan $py tests/interop/tls_test.py -b" \
    "TLS, AddressSanitizer:unittest:env BUILD=build/asan $py tests/interop/tls_test.py -b" \
    "TLS:unittest:$py tests/interop/tls_test.py -b" \
    "fork:unittest:$py tests/interop/fork_test.py -b" \
    "metrics:unittest:$py tests/interop/metrics_test.py -b" \
    "memory:unittest:$py tests/interop/memory_test.py -b" \
    "python websockets:unittest:$py tests/interop/python_websockets_test.py -b" \
    "node ws:unittest:$py tests/interop/node_ws_test.py -b" \
    "Firefox:unittest:$py tests/interop/firefox_test.py -b" \
    "nginx:unittest:$py tests/interop/nginx_test.py -b" \
    "demos in C++:unittest:$py tests/interop/cpp_demo_test.py -b" \
    "libevent:unittest:$py tests/interop/libevent_test.py -b" \
    "header:unittest:$py tests/header_test.py" \
    "man pages:unittest:$py tests/man_test.py" \
    "RFC sentences:unittest:$py tests/rfc_test.py" \
    "runner:unittest:$py tests/run_test.py" \
    "soak's judgement:unittest:$py tests/soak/judgement_test.py" \
    "siege's judgement:unittest:$py tests/siege/table_test.py" \
    "layout:unittest:$py tests/layout_test.py" \
    "includes:unittest:$py tests/include_test.py" \
    "fuzz corpus, frames:command:build/asan/tests/fuzz/frame tests/fuzz/corpus/frame" \
    "fuzz corpus, handshakes:command:build/asan/tests/fuzz/handshake tests/fuzz/corpus/handshake" \
    "fuzz corpus, request bodies:command:build/asan/tests/fuzz/request_body tests/fuzz/corpus/request_body" \
    "fuzz corpus, negotiation:command:build/asan/tests/fuzz/negotiation tests/fuzz/corpus/negotiation" \
    "fuzz corpus, UTF-8:command:build/asan/tests/fuzz/utf8 tests/fuzz/corpus/utf8" \
    "fuzz corpus, masks:command:build/asan/tests/fuzz/mask tests/fuzz/corpus/mask" \
    "fuzz corpus, connections:command:build/asan/tests/fuzz/connection tests/fuzz/corpus/connection" \
    "fuzz corpus, TLS:command:build/asan/tests/fuzz/tls tests/fuzz/corpus/tls" \
    "fuzz corpus, topic logs:command:build/asan/tests/fuzz/topic_log tests/fuzz/corpus/topic_log" \
    "fuzz corpus, packets for Redis:command:build/asan/tests/fuzz/redis_packet tests/fuzz/corpus/redis_packet" \
    "fuzz corpus, inflating:command:build/asan/tests/fuzz/inflate tests/fuzz/corpus/inflate" \
    "fuzz corpus, deflating:command:build/asan/tests/fuzz/deflate tests/fuzz/corpus/deflate"
