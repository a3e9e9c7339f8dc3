# Everything this project builds, tests and installs. The commands:
#   make            build/libwebsock.a, build/libwebsock-redis.a and the demos in build/demo/
#   make shared     build/libwebsock.so, for other languages; it is not installed
#   make run        the demo server, at http://127.0.0.1:8080/ (PORT=...)
#   make run-tls    the same over TLS, at https://127.0.0.1:8443/
#   make run-cluster   three of them that share a Redis server, and nginx in front (PORT=...)
#   make check      every test
#   make check-foreign   the protocol's tests on 32 bits, arm64 and big-endian, in qemu
#   make bench      measures this machine, beside other libraries; QUICK=1 is shorter
#   make siege      many attackers and one honest client; QUICK=1 is shorter, SIEGE="--only NAME"
#   make fuzz       every fuzz target for SECONDS=60 each; TARGETS="frame tls" for some
#   make soak       the demo under all kinds of clients for SECONDS=60; draws build/soak/soak.png
#   make install    PREFIX=/usr/local DESTDIR=
# Set CC, CXX, CFLAGS and CXXFLAGS as you like, and AR, LD and OBJCOPY to cross-compile; BUILD
# names another build directory.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
HOST ?= 127.0.0.1
PORT ?= 8080

ifeq ($(origin CXX),default)
CXX := g++
endif
ifeq ($(origin CC),default)
CC := gcc
endif
OBJCOPY ?= objcopy
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

# thread, or address,undefined: the sanitizers of instrumented test programs.
SANITIZE ?=
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ifneq ($(findstring undefined,$(SANITIZE)),)
sanitize += -fno-sanitize=vptr # it needs descriptors to work, and some tests leave none
endif

# -Werror for the tests; not for users, whose compiler may have more warnings.
WERROR ?=
warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)
ifneq ($(findstring clang,$(CXX)),)
warnings += -Wthread-safety
sanitize += $(if $(SANITIZE),-fsanitize-link-c++-runtime) # C programs contain C++, too
else
no_unique := -fno-gnu-unique # objcopy cannot make such symbols local; clang makes none
endif
cppflags := -I. -Isrc -MMD -MP
cxxflags := -std=c++20 -pthread $(warnings) $(sanitize)
cflags := -std=c99 -D_POSIX_C_SOURCE=200809L -pthread $(warnings) $(sanitize)
libs := -lssl -lcrypto -lz -lstdc++ -pthread

version_of = $(shell sed -n 's/^.define LIBWEBSOCK_VERSION_$(1) //p' websock/websock.h)
version := $(call version_of,MAJOR).$(call version_of,MINOR).$(call version_of,PATCH)

archive := $(BUILD)/libwebsock.a
src_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(filter-out src/redis%,$(wildcard src/*/*.cpp)))
# The backplane that uses Redis is an archive of its own: only its users need hiredis.
redis_archive := $(BUILD)/libwebsock-redis.a
redis_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard src/redis*/*.cpp))
base_objects := $(filter $(BUILD)/src/base/%,$(src_objects))
redis_libs := -lhiredis
has_hiredis := $(shell echo '\#include <hiredis/hiredis.h>' | $(CXX) $(CPPFLAGS) -E -x c++ - >/dev/null 2>&1 && echo yes)
demos := $(addprefix $(BUILD)/demo/,websock-demo quickstart echo session wss)
cpp_demos := $(patsubst %.cpp,$(BUILD)/%,$(wildcard demo/cpp/*.cpp))
# Programs to copy from, each of one file. The one in C++ needs a JSON library, of headers only.
has_json := $(shell printf '\043if !__has_include(<nlohmann/json.hpp>)\n\043error\n\043endif\n' | $(CXX) $(CPPFLAGS) -E -x c++ - >/dev/null 2>&1 && echo yes)
apps := $(addprefix $(BUILD)/demo/,chat prices files bridge $(if $(has_json),rpc))
# Built by the tests; the only demo that needs libevent.
libevent_demo := $(BUILD)/demo/libevent

.PHONY: all demo shared run run-tls install uninstall clean without_redis without_json
.DELETE_ON_ERROR:

all: $(archive) demo $(if $(has_hiredis),$(redis_archive),without_redis)
demo: $(demos) $(cpp_demos) $(apps) $(if $(has_json),,without_json)

# One object that defines only the API. Programs cannot collide with the library's internals,
# least of all with C++ templates, and a shared object that contains the archive exports only
# the API. This does not work with objects that have no machine code yet (-flto).
$(src_objects) $(redis_objects): override CXXFLAGS += -fPIC -fvisibility=hidden -fvisibility-inlines-hidden \
  -fno-lto $(no_unique)
$(archive): $(src_objects) src/api/symbols.list
	@rm -f $@
	$(LD) -r --force-group-allocation $(src_objects) -o $(BUILD)/libwebsock.o
	$(OBJCOPY) --keep-global-symbols=src/api/symbols.list $(BUILD)/libwebsock.o
	$(AR) rcs $@ $(BUILD)/libwebsock.o

# The same, with what it uses of src/base.
$(redis_archive): $(redis_objects) $(base_objects) src/redis/symbols.list
	@rm -f $@ $(BUILD)/libwebsock-base.a
	$(AR) rcs $(BUILD)/libwebsock-base.a $(base_objects)
	$(LD) -r --force-group-allocation $(redis_objects) $(BUILD)/libwebsock-base.a -o $(BUILD)/libwebsock-redis.o
	$(OBJCOPY) --keep-global-symbols=src/redis/symbols.list $(BUILD)/libwebsock-redis.o
	$(AR) rcs $@ $(BUILD)/libwebsock-redis.o

without_redis:
	@echo "libwebsock-redis.a is left out: there is no hiredis/hiredis.h (Debian: libhiredis-dev)"

without_json:
	@echo "demo/apps/rpc.cpp is left out: there is no nlohmann/json.hpp (Debian: nlohmann-json3-dev)"

# For ctypes and the like: demo/python/echo.py. It exports what the archive defines, the API.
shared: $(BUILD)/libwebsock.so
$(BUILD)/libwebsock.so: $(archive)
	$(CC) -shared -Wl,-soname,libwebsock.so.$(call version_of,MAJOR) $(LDFLAGS) \
	  -Wl,--whole-archive $< -Wl,--no-whole-archive $(libs) -o $@

# The flags above are as much a part of an object as its source.
$(BUILD)/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) $(cppflags) $(CPPFLAGS) $(cxxflags) $(CXXFLAGS) -c $< -o $@

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(cppflags) -I$(BUILD)/demo $(CPPFLAGS) $(cflags) $(CFLAGS) -c $< -o $@

# Files that are built into the demo server as arrays, so that it is one file to copy. The
# manual is rendered by mandoc, without bold; if there is no mandoc, its source is used.
built_in := demo/page.html README.md man/libwebsock.7 websock/websock.h demo/server.c demo/block.c demo/slow.c demo/chat.c demo/people.c demo/cluster.c demo/prices.c demo/transfer.c
$(BUILD)/demo/files_built_in.h: $(built_in) Makefile
	@mkdir -p $(@D)
	for file in $(built_in); do \
	  echo "static const unsigned char $$(basename $$file | tr .- __)[] = {"; \
	  case $$file in \
	  man/*) { mandoc -T ascii $$file 2>/dev/null || cat $$file; } | sed "s/.$$(printf '\b')//g";; \
	  *) cat $$file;; \
	  esac | od -An -v -tx1 | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};'; \
	done > $@

$(BUILD)/demo/files.o: $(BUILD)/demo/files_built_in.h

$(BUILD)/demo/websock-demo: $(addprefix $(BUILD)/demo/,server.o options.o routes.o files.o chat.o people.o cluster.o prices.o block.o slow.o transfer.o stats.o metrics.o) $(if $(has_hiredis),$(redis_archive)) $(archive)
ifneq ($(has_hiredis),)
$(BUILD)/demo/cluster.o: cppflags += -DDEMO_HAS_REDIS
$(BUILD)/demo/websock-demo: libs := $(redis_libs) $(libs)
endif
$(BUILD)/demo/quickstart: $(BUILD)/demo/quickstart.o $(archive)
$(BUILD)/demo/echo: $(BUILD)/demo/echo.o $(archive)
$(BUILD)/demo/session: $(BUILD)/demo/session.o $(archive)
$(BUILD)/demo/wss: $(BUILD)/demo/wss.o $(archive)
$(BUILD)/demo/libevent: $(BUILD)/demo/libevent.o $(archive)
$(BUILD)/demo/libevent: libs := -levent_core $(libs)
$(apps): $(BUILD)/demo/%: $(BUILD)/demo/apps/%.o $(archive)
$(demos) $(apps) $(libevent_demo):
	$(CC) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@
$(cpp_demos): %: %.o $(archive)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

run:
	@sh tests/deps.sh build
	@$(MAKE) --no-print-directory demo
	@exec $(BUILD)/demo/websock-demo --host $(HOST) --port $(PORT)

tls_port := $(if $(filter file,$(origin PORT)),8443,$(PORT))
localhost := $(BUILD)/demo/localhost
run-tls:
	@sh tests/deps.sh build
	@$(MAKE) --no-print-directory demo
	@sh demo/certificate.sh $(localhost).key $(localhost).crt
	@exec $(BUILD)/demo/websock-demo --host $(HOST) --port $(tls_port) \
	  --key $(localhost).key --cert $(localhost).crt

.PHONY: run-cluster
run-cluster:
	@sh tests/deps.sh cluster
	@$(MAKE) --no-print-directory demo
	@exec sh demo/cluster.sh $(BUILD) $(PORT)

include tests/tests.mk tests/bench/bench.mk tests/siege/siege.mk tests/fuzz/fuzz.mk

# There is only an archive, so every program needs what it needs: that goes into Libs and
# Requires, not into what pkg-config adds with --static.
$(BUILD)/libwebsock.pc: Makefile websock/websock.h
	@mkdir -p $(@D)
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	  'Name: libwebsock' \
	  'Description: WebSocket server library, a thread per connection and callbacks on workers' \
	  'Version: $(version)' 'Requires: openssl >= 3, zlib' 'Cflags: -I$${includedir}' \
	  'Libs: -L$${libdir} -lwebsock -lstdc++ -pthread' > $@

$(BUILD)/libwebsock-redis.pc: Makefile websock/websock.h
	@mkdir -p $(@D)
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	  'Name: libwebsock-redis' 'Description: topics of several libwebsock servers, kept by Redis' \
	  'Version: $(version)' 'Requires: libwebsock = $(version)' 'Cflags: -I$${includedir}' \
	  'Libs: -L$${libdir} -lwebsock-redis $(redis_libs)' > $@

$(BUILD)/libwebsock-config-version.cmake: websock/cmake/libwebsock-config-version.cmake.in websock/websock.h
	@mkdir -p $(@D)
	sed 's/@VERSION@/$(version)/' $< > $@

include_dir := $(DESTDIR)$(PREFIX)/include/websock
lib_dir := $(DESTDIR)$(PREFIX)/lib
cmake_dir := $(lib_dir)/cmake/libwebsock
cmake_files := websock/cmake/libwebsock-config.cmake $(BUILD)/libwebsock-config-version.cmake
man_dir := $(DESTDIR)$(PREFIX)/share/man
man3 := $(wildcard man/*.3 man/man3/*.3)
man7 := $(wildcard man/*.7)

# What is installed only if it can be built.
redis_installed := $(if $(has_hiredis),$(redis_archive))
pc_files := $(BUILD)/libwebsock.pc $(if $(has_hiredis),$(BUILD)/libwebsock-redis.pc)
headers := websock/websock.h websock/websock.hpp $(if $(has_hiredis),websock/redis.h)

# The .pc files contain the prefix, so they are remade each time.
install: $(archive) $(redis_installed) $(cmake_files)
	@rm -f $(pc_files)
	@$(MAKE) --no-print-directory $(pc_files)
	install -d $(include_dir) $(lib_dir)/pkgconfig $(cmake_dir) $(man_dir)/man3 $(man_dir)/man7
	install -m 644 $(headers) $(include_dir)
	install -m 644 $(archive) $(redis_installed) $(lib_dir)
	install -m 644 $(pc_files) $(lib_dir)/pkgconfig
	install -m 644 $(cmake_files) $(cmake_dir)
	install -m 644 $(man3) $(man_dir)/man3
	install -m 644 $(man7) $(man_dir)/man7

uninstall:
	rm -f $(addprefix $(include_dir)/,websock.h websock.hpp redis.h)
	rm -f $(addprefix $(lib_dir)/,libwebsock.a libwebsock-redis.a)
	rm -f $(addprefix $(lib_dir)/pkgconfig/,libwebsock.pc libwebsock-redis.pc)
	rm -f $(addprefix $(cmake_dir)/,$(notdir $(cmake_files)))
	rm -f $(addprefix $(man_dir)/man3/,$(notdir $(man3))) $(addprefix $(man_dir)/man7/,$(notdir $(man7)))
	@rmdir $(include_dir) $(cmake_dir) 2>/dev/null || true # unless it holds something else

clean:
	rm -rf $(BUILD)

-include $(wildcard $(addprefix $(BUILD)/,demo/*.d demo/*/*.d src/*/*.d tests/*/*.d tests/*/*/*.d))
