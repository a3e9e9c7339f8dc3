#!/bin/sh
# Tests the library for other machines: 32 bits (armhf), another memory model (arm64), the
# other byte order (s390x). All of it is compiled without a warning; the tests of the
# protocol's modules and RFC 6455's table of bytes, over real sockets, run in qemu. The last
# line is "N passed, N failed". Called by `make check-foreign`.
set -u
cd "$(dirname "$0")/.." || exit 1

make="make --no-print-directory -j$(nproc)"

# build_for ARCHITECTURE TRIPLET builds build/foreign/ARCHITECTURE/tests/foreign. A static
# program needs nothing from its machine. gcc's notes about what gcc 7.1 changed do not matter.
build_for()
{
    openssl=build/foreign/openssl/$1/usr
    echo "build for $1:build:$make WERROR=-Werror CFLAGS=-O1 BUILD=build/foreign/$1 CC=$2-gcc CXX=$2-g++ LD=$2-ld" \
        "AR=$2-ar OBJCOPY=$2-objcopy 'CXXFLAGS=-O1 -Wno-psabi'" \
        "'CPPFLAGS=-I$openssl/include/$2 -I$openssl/include'" \
        "'LDFLAGS=-static -L$openssl/lib/$2' build/foreign/$1/libwebsock.a" \
        "build/foreign/$1/tests/foreign"
}

# The test programs mix unsigned long long and size_t; the library does not (see above).
headers="-Ibuild/foreign/openssl/armhf/usr/include/arm-linux-gnueabihf"
clang="$make 'WERROR=-Werror -Wno-error=shorten-64-to-32' BUILD=build/foreign/clang
    'CC=clang --target=arm-linux-gnueabihf $headers'
    'CXX=clang++ --target=arm-linux-gnueabihf $headers' syntax"

exec /usr/bin/python3 -B tests/run.py --time-limit 600 --jobs "$(nproc)" \
    "$(build_for armhf arm-linux-gnueabihf)" \
    "$(build_for arm64 aarch64-linux-gnu)" \
    "$(build_for s390x s390x-linux-gnu)" \
    "clang, 32 bits:build:$clang" \
    "s390x, big-endian:doctest:qemu-s390x-static build/foreign/s390x/tests/foreign" \
    "armhf, 32 bits:doctest:qemu-arm-static build/foreign/armhf/tests/foreign" \
    "arm64:doctest:qemu-aarch64-static build/foreign/arm64/tests/foreign"
