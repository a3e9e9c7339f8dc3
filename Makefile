# Everything this project builds, tests and installs. What a user needs:
#   make            build/libwebsock.a and the demos in build/demo/
#   make run        the demo server, at http://127.0.0.1:8080/ (PORT=...)
#   make run-tls    the same over TLS, at https://127.0.0.1:8443/
#   make check      every test
#   make check-foreign   the protocol's tests on 32 bits, arm64 and big-endian, in qemu
#   make bench      measures this machine, beside other libraries; QUICK=1 is shorter
#   make siege      many attackers and one honest client; QUICK=1 is shorter, SIEGE="--only NAME"
#   make fuzz       every fuzz target for SECONDS=60 each; TARGETS="frame tls" for some
#   make soak       the demo under all kinds of clients for SECONDS=60; draws build/soak/soak.png
#   make install    PREFIX=/usr/local DESTDIR=
# Set CC, CXX, CFLAGS and CXXFLAGS as you like, and AR, LD and OBJCOPY to cross-compile;
# BUILD puts it all elsewhere.

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

# thread, or address,undefined: for the instrumented test programs.
SANITIZE ?=
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ifneq ($(findstring undefined,$(SANITIZE)),)
sanitize += -fno-sanitize=vptr # it needs descriptors to look, and some tests leave it none
endif

# -Werror, for the tests; not for users, whose compiler may know more warnings.
WERROR ?=
warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)
ifneq ($(findstring clang,$(CXX)),)
warnings += -Wthread-safety
sanitize += $(if $(SANITIZE),-fsanitize-link-c++-runtime) # programs in C have C++ inside
else
no_unique := -fno-gnu-unique # symbols that objcopy leaves alone; clang makes none
endif
cppflags := -I. -Isrc -MMD -MP
cxxflags := -std=c++20 -pthread $(warnings) $(sanitize)
cflags := -std=c99 -D_POSIX_C_SOURCE=200809L -pthread $(warnings) $(sanitize)
libs := -lssl -lcrypto -lstdc++ -pthread

version_of = $(shell sed -n 's/^.define LIBWEBSOCK_VERSION_$(1) //p' websock/websock.h)
version := $(call version_of,MAJOR).$(call version_of,MINOR).$(call version_of,PATCH)

archive := $(BUILD)/libwebsock.a
src_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard src/*/*.cpp))
test_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/*.cpp))
demos := $(addprefix $(BUILD)/demo/,websock-demo quickstart echo wss)
# Built by the tests; the only one that needs libevent.
libevent_demo := $(BUILD)/demo/libevent
tests := $(addprefix $(BUILD)/tests/,unit default_server tls_server fork_server)
# RFC 6455 as a table of bytes; what it needs of the other tests are their client and server.
conformance := $(BUILD)/tests/conformance/run
conformance_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/conformance/*.cpp)) \
  $(addprefix $(BUILD)/tests/,main.o client.o client_protocol.o stream.o stream_tls.o wire.o \
  test_server.o certificates.o)

# What another machine could do otherwise: bytes, lengths and their order.
foreign := $(BUILD)/tests/foreign
foreign_objects := $(conformance_objects) $(patsubst %,$(BUILD)/tests/%_test.o,buffer frame \
  frame_encode frame_refusal handshake handshake_refusal handshake_response mask utf8)

bench_dir := $(BUILD)/bench
bench_clients := $(addprefix $(bench_dir)/,load churn idle fanout crowd)
bench_floors := $(addprefix $(bench_dir)/,thread_floor epoll_floor)
bench_programs := $(bench_clients) $(bench_floors) $(addprefix $(bench_dir)/,micro echo_server)

# Other libraries' servers: those whose headers are there.
with_header = $(if $(wildcard $(addsuffix /$(1),/usr/include /usr/local/include)),$(2))
bench_peers := $(addprefix $(bench_dir)/peers/,\
  $(call with_header,libwebsockets.h,libwebsockets) \
  $(call with_header,boost/beast.hpp,beast_sync beast_async) \
  $(call with_header,websocketpp/server.hpp,websocketpp))

.PHONY: all demo run run-tls deps check check-foreign test-programs conformance-program syntax bench bench-programs siege siege-programs fuzz fuzz-programs soak install uninstall clean
.DELETE_ON_ERROR:

all: $(archive) demo
demo: $(demos)
test-programs: $(tests)
conformance-program: $(conformance)

# One object that defines the API and nothing else, so that programs cannot collide with
# what is inside, C++'s templates least of all, and a shared object that the archive
# becomes part of exports the API alone. An object with its machine code still to be made
# (-flto) could not be treated so.
$(src_objects): override CXXFLAGS += -fPIC -fvisibility=hidden -fvisibility-inlines-hidden \
  -fno-lto $(no_unique)
$(archive): $(src_objects) src/api/symbols.list
	@rm -f $@
	$(LD) -r --force-group-allocation $(src_objects) -o $(BUILD)/libwebsock.o
	$(OBJCOPY) --keep-global-symbols=src/api/symbols.list $(BUILD)/libwebsock.o
	$(AR) rcs $@ $(BUILD)/libwebsock.o

# The flags above are as much a part of an object as its source is.
$(BUILD)/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) $(cppflags) $(CPPFLAGS) $(cxxflags) $(CXXFLAGS) -c $< -o $@

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(cppflags) -I$(BUILD)/demo $(CPPFLAGS) $(cflags) $(CFLAGS) -c $< -o $@

# Compiles everything, or SOURCES, and keeps nothing: what another compiler has to say.
SOURCES ?= src/*/*.cpp tests/*.cpp tests/conformance/*.cpp tests/bench/*.cpp tests/siege/*.cpp tests/fuzz/*.cpp demo/*.c tests/*.c tests/bench/*.c tests/siege/*.c
syntax: $(patsubst %,$(BUILD)/%.ok,$(wildcard $(SOURCES)))
$(BUILD)/%.cpp.ok: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(cppflags) -MT $@ -MF $@.d $(cxxflags) -fsyntax-only $< && touch $@
$(BUILD)/%.c.ok: %.c $(BUILD)/demo/page.h
	@mkdir -p $(@D)
	$(CC) $(cppflags) -MT $@ -MF $@.d -I$(BUILD)/demo $(cflags) -fsyntax-only $< && touch $@

# The page is part of the program: one file to copy.
$(BUILD)/demo/page.h: demo/page.html
	@mkdir -p $(@D)
	{ echo 'static const unsigned char page_html[] = {'; \
	  od -An -v -tx1 $< | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};'; } > $@

$(BUILD)/demo/routes.o: $(BUILD)/demo/page.h

$(BUILD)/demo/websock-demo: $(addprefix $(BUILD)/demo/,server.o routes.o chat.o stats.o metrics.o) $(archive)
$(BUILD)/demo/quickstart: $(BUILD)/demo/quickstart.o $(archive)
$(BUILD)/demo/echo: $(BUILD)/demo/echo.o $(archive)
$(BUILD)/demo/wss: $(BUILD)/demo/wss.o $(archive)
$(BUILD)/demo/libevent: $(BUILD)/demo/libevent.o $(archive)
$(BUILD)/demo/libevent: libs := -levent_core $(libs)
$(demos) $(libevent_demo):
	$(CC) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

# Tests of what is inside link the objects.
$(BUILD)/tests/unit: $(test_objects) $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@
# Tests are compiled more often than they run, and wait when they do: -O0 halves their
# build. The library is built as ever. Of several -O the last one counts.
$(test_objects) $(filter $(BUILD)/tests/conformance/%,$(conformance_objects)): override CXXFLAGS += -O0
# With PRECOMPILED=1 they read the headers that nearly all of them include only once, which
# halves their build again; for make check, since an edit of one file would wait for it. Not
# what other programs link, without doctest.
ifneq ($(PRECOMPILED),)
precompiled := $(BUILD)/tests/precompiled.h
precompiled_objects := $(sort $(filter-out $(addprefix %/,utf8_test.o certificates.o client.o \
  client_protocol.o stream.o stream_tls.o tls_forger.o wire.o),$(test_objects) $(conformance_objects)))
$(precompiled_objects): $(precompiled).gch
$(precompiled_objects): cppflags += -include $(precompiled)
$(precompiled).gch: tests/precompiled.h
	@mkdir -p $(@D)
	cp $< $(precompiled)
	$(CXX) $(CPPFLAGS) $(cxxflags) $(CXXFLAGS) -O0 -x c++-header $(precompiled) -o $@
endif
# But for this one, which goes through millions of byte sequences.
$(BUILD)/tests/utf8_test.o: override CXXFLAGS += -O1
$(conformance): $(conformance_objects) $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@
$(foreign): $(foreign_objects) $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@
$(BUILD)/tests/default_server: $(BUILD)/tests/default_server.o $(archive)
$(BUILD)/tests/tls_server: $(BUILD)/tests/tls_server.o $(archive)
$(BUILD)/tests/fork_server: $(BUILD)/tests/fork_server.o $(archive)
$(BUILD)/tests/default_server $(BUILD)/tests/tls_server $(BUILD)/tests/fork_server:
	$(CC) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

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

deps:
	@sh tests/deps.sh check

check: deps
	@sh tests/check.sh

check-foreign:
	@sh tests/deps.sh foreign
	@sh tests/foreign.sh

# BENCH=... for run.py's other options. The peers are looked for again when deps.sh is done.
bench:
	@sh tests/deps.sh bench
	@$(MAKE) --no-print-directory bench-programs
	/usr/bin/python3 -B tests/bench/run.py --build $(bench_dir) $(if $(QUICK),--quick) $(BENCH)

bench-programs: $(bench_programs) $(bench_peers)
$(bench_clients): $(bench_dir)/%: $(addprefix $(BUILD)/tests/bench/,%.o peers.o exchange.o stream.o settings.o meter.o)
$(bench_clients) $(bench_dir)/micro: bench_libs := -lssl -lcrypto
$(bench_floors): $(bench_dir)/%: $(addprefix $(BUILD)/tests/bench/,%.o raw_echo.o)
$(bench_dir)/micro: $(BUILD)/tests/bench/micro.o $(src_objects)
$(bench_dir)/echo_server: $(BUILD)/tests/bench/echo_server.o $(archive)
$(bench_clients) $(bench_floors) $(bench_dir)/micro:
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(bench_libs) -pthread -o $@
$(bench_dir)/echo_server:
	@mkdir -p $(@D)
	$(CC) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

# As released programs are built: without the assertions of Boost. The headers of Debian 12 are
# older than C++20.
$(bench_peers): $(bench_dir)/peers/%: $(BUILD)/tests/bench/peers/%.o
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(bench_libs) -pthread -o $@
$(bench_peers): cppflags += -DNDEBUG
$(bench_dir)/peers/libwebsockets: bench_libs := -lwebsockets
$(bench_peers): cxxflags += -std=c++17

# SIEGE=... for run.py's other options, as SIEGE="--only NAME".
siege_dir := $(BUILD)/siege
siege_clients := $(addprefix $(siege_dir)/,besiege honest newcomer)
siege_programs := $(siege_clients) $(addprefix $(siege_dir)/,half_key_update server)
siege:
	@sh tests/deps.sh siege
	@$(MAKE) --no-print-directory siege-programs
	/usr/bin/python3 -B tests/siege/run.py --build $(siege_dir) $(if $(QUICK),--quick) $(SIEGE)

siege-programs: $(siege_programs)
$(siege_dir)/besiege: $(BUILD)/tests/siege/attack.o
$(siege_dir)/honest $(siege_dir)/newcomer: $(BUILD)/tests/siege/opening.o
$(siege_clients): $(siege_dir)/%: $(BUILD)/tests/siege/%.o $(BUILD)/tests/siege/link.o \
  $(addprefix $(BUILD)/tests/bench/,exchange.o stream.o settings.o meter.o)
# It forges with the tests' own client.
$(siege_dir)/half_key_update: $(BUILD)/tests/siege/half_key_update.o $(src_objects) \
  $(addprefix $(BUILD)/tests/,tls_forger.o client.o client_protocol.o stream.o stream_tls.o \
  wire.o certificates.o)
$(siege_dir)/server: $(BUILD)/tests/siege/server.o $(archive)
$(siege_programs):
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $(sort $(filter %.o,$^)) $(filter %.a,$^) $(libs) -o $@

# A fuzz target is one file; what it shares with others is in the other files there.
fuzz_targets := frame handshake utf8 mask connection tls
fuzz_programs := $(addprefix $(BUILD)/tests/fuzz/,$(fuzz_targets))
fuzz_shared := $(addprefix $(BUILD)/tests/fuzz/,reference.o http.o)
fuzz-programs: $(fuzz_programs)
ifneq ($(findstring fuzzer,$(SANITIZE)),)
fuzz_main := -fsanitize=fuzzer # libFuzzer's
else
fuzz_main := $(BUILD)/tests/fuzz/replay.o
$(fuzz_programs): $(fuzz_main)
endif
$(BUILD)/tests/fuzz/tls: $(BUILD)/tests/certificates.o
$(fuzz_programs): %: %.o $(fuzz_shared) $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $(sort $(filter %.o,$^) $(fuzz_main)) $(libs) -o $@

fuzz:
	@sh tests/deps.sh check
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CXX=clang++ CXXFLAGS='-O1 -g' \
	  SANITIZE=fuzzer-no-link,address,undefined fuzz-programs
	@sh tests/fuzz/run.sh $(BUILD)/fuzz $(or $(SECONDS),60) $(or $(TARGETS),$(fuzz_targets))

soak:
	@sh tests/deps.sh soak
	@$(MAKE) --no-print-directory $(BUILD)/demo/websock-demo
	/usr/bin/python3 -B tests/soak/run.py --build $(BUILD) --seconds $(or $(SECONDS),60)

# There is an archive only, so whatever it needs is needed by every program: in Libs and
# Requires, not in what pkg-config adds with --static.
$(BUILD)/libwebsock.pc: Makefile websock/websock.h
	@mkdir -p $(@D)
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	  'Name: libwebsock' \
	  'Description: WebSocket server library, a thread per connection and callbacks on workers' \
	  'Version: $(version)' 'Requires: openssl >= 3' 'Cflags: -I$${includedir}' \
	  'Libs: -L$${libdir} -lwebsock -lstdc++ -pthread' > $@

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

# The prefix is written into libwebsock.pc, so that file is made anew each time.
install: $(archive) $(cmake_files)
	@rm -f $(BUILD)/libwebsock.pc
	@$(MAKE) --no-print-directory $(BUILD)/libwebsock.pc
	install -d $(include_dir) $(lib_dir)/pkgconfig $(cmake_dir) $(man_dir)/man3 $(man_dir)/man7
	install -m 644 websock/websock.h $(include_dir)
	install -m 644 $(archive) $(lib_dir)
	install -m 644 $(BUILD)/libwebsock.pc $(lib_dir)/pkgconfig
	install -m 644 $(cmake_files) $(cmake_dir)
	install -m 644 $(man3) $(man_dir)/man3
	install -m 644 $(man7) $(man_dir)/man7

uninstall:
	rm -f $(include_dir)/websock.h $(lib_dir)/libwebsock.a $(lib_dir)/pkgconfig/libwebsock.pc
	rm -f $(addprefix $(cmake_dir)/,$(notdir $(cmake_files)))
	rm -f $(addprefix $(man_dir)/man3/,$(notdir $(man3))) $(addprefix $(man_dir)/man7/,$(notdir $(man7)))
	@rmdir $(include_dir) $(cmake_dir) 2>/dev/null || true # unless something else is in it

clean:
	rm -rf $(BUILD)

-include $(src_objects:.o=.d) $(test_objects:.o=.d) $(wildcard $(BUILD)/demo/*.d $(BUILD)/tests/*.d $(BUILD)/tests/bench/*.d $(BUILD)/tests/bench/peers/*.d $(BUILD)/tests/siege/*.d $(BUILD)/tests/conformance/*.d $(BUILD)/tests/fuzz/*.d)
