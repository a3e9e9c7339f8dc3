# tests.mk: what `make check` builds and runs, and the soak; included by the top Makefile.
test_folders := base compression protocol transport dispatch timers inbox outbox connection topics server support
test_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard $(test_folders:%=tests/%/*.cpp)))
# Bytes in, bytes out, on one thread: ThreadSanitizer has nothing to see there.
ifeq ($(SANITIZE),thread)
test_objects := $(filter-out $(BUILD)/tests/protocol/% \
  $(filter-out %_pool_test.o,$(filter $(BUILD)/tests/compression/%,$(test_objects))),$(test_objects))
endif
support := $(BUILD)/tests/support
# Other programs link these, too, so they do without doctest: a client and its certificates.
client_objects := $(addprefix $(support)/,certificates.o client.o client_protocol.o deflate_stream.o stream.o \
  stream_tls.o tls_forger.o wire.o)
# C programs that tests start.
test_servers := $(addprefix $(BUILD)/tests/,default_server tls_server fork_server stream_server)
# Tests of the backplane that uses Redis, against a redis-server; and a node of a cluster for the
# tests of whole servers.
redis_tests := $(BUILD)/tests/redis/unit
redis_test_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/redis/*.cpp))
redis_node := $(BUILD)/tests/redis/node
# RFC 6455 as a table of bytes, sent by the tests' client to the tests' server.
conformance := $(BUILD)/tests/conformance/run
conformance_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/conformance/*.cpp)) \
  $(client_objects) $(addprefix $(support)/,main.o server.o)
# Tests of what could differ on another machine: bytes, lengths and their order. Not of failing
# allocations, for which the C library must be a shared one.
foreign := $(BUILD)/tests/foreign
foreign_objects := $(conformance_objects) \
  $(filter-out %_allocation_test.o,$(filter $(BUILD)/tests/compression/% $(BUILD)/tests/protocol/%,$(test_objects))) \
  $(addprefix $(BUILD)/tests/base/,buffer_test.o utf8_test.o)

# Tests of the C++ face, which link the library as a program does, and for their certificates two of
# its objects.
cpp_tests := $(BUILD)/tests/cpp/run
cpp_test_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/cpp/*.cpp))

.PHONY: deps check check-foreign test-programs test-demos conformance-program syntax soak
# Those that are tested under ThreadSanitizer, too.
test-demos: $(demos) $(apps)
test-programs: $(BUILD)/tests/unit $(cpp_tests) $(test_servers) $(redis_tests) $(redis_node)
conformance-program: $(conformance)

deps:
	@sh tests/deps.sh check

check: deps
	@sh tests/check.sh

check-foreign:
	@sh tests/deps.sh foreign
	@sh tests/foreign.sh

# Tests of internals link the objects.
$(BUILD)/tests/unit: $(test_objects)
$(conformance): $(conformance_objects)
$(foreign): $(foreign_objects)
$(BUILD)/tests/unit $(conformance) $(foreign): $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@
$(test_servers): $(BUILD)/tests/%: $(support)/%.o $(archive)
	$(CC) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

$(cpp_tests): $(cpp_test_objects) $(client_objects) $(support)/main.o $(addprefix $(BUILD)/src/,transport/openssl.o base/utf8.o) $(archive)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(libs) -o $@

$(redis_tests): $(redis_test_objects) $(redis_objects) $(base_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(redis_libs) $(libs) -o $@
$(redis_node): $(BUILD)/tests/redis/node.o $(redis_archive) $(archive)
	$(CC) $(sanitize) $(LDFLAGS) $^ $(redis_libs) $(libs) -o $@

# Tests are compiled more often than they run, and mostly wait when they do: -O0 halves their
# build. The library is built as usual. The last -O counts.
unoptimized := $(sort $(test_objects) $(conformance_objects) $(redis_test_objects) $(cpp_test_objects))
$(unoptimized): override CXXFLAGS += -O0
# But for these, which go through millions of byte sequences, mask megabytes, or copy the table of
# bytes cut at every offset.
optimized := $(BUILD)/tests/base/utf8_test.o $(support)/wire.o $(BUILD)/tests/conformance/replay.o
$(optimized): override CXXFLAGS += -O1

# PRECOMPILED is src, tests or both: there, the headers that nearly every file includes are read
# only once, which halves the build again. For make check: an edit of one file would wait for it.
# $(call precompiled,HEADER,OBJECTS): make hands the flags of OBJECTS on to HEADER, which must have
# the same.
define precompiled
$(1).gch: tests/support/$(notdir $(1)) Makefile
	@mkdir -p $$(@D)
	cp $$< $(1)
	$$(CXX) $$(CPPFLAGS) $$(cxxflags) $$(CXXFLAGS) -x c++-header $(1) -o $$@
$(2): $(1).gch
$(2): cppflags += -include $(1)
endef
ifneq ($(filter tests,$(PRECOMPILED)),)
precompiled_objects := $(filter-out $(client_objects) $(optimized),$(unoptimized))
$(eval $(call precompiled,$(BUILD)/tests/precompiled.h,$(precompiled_objects)))
endif
ifneq ($(filter src,$(PRECOMPILED)),)
$(eval $(call precompiled,$(BUILD)/src/precompiled_src.h,$(src_objects)))
endif

# Compiles everything, or SOURCES, and keeps nothing: checks with another compiler.
SOURCES ?= src/*/*.cpp tests/*/*.cpp tests/*/*.c demo/*.c demo/*/*.c demo/*/*.cpp
syntax: $(patsubst %,$(BUILD)/%.ok,$(wildcard $(SOURCES)))
$(BUILD)/%.cpp.ok: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(cppflags) -MT $@ -MF $@.d $(cxxflags) -fsyntax-only $< && touch $@
$(BUILD)/%.c.ok: %.c $(BUILD)/demo/files_built_in.h
	@mkdir -p $(@D)
	$(CC) $(cppflags) -MT $@ -MF $@.d -I$(BUILD)/demo $(cflags) -fsyntax-only $< && touch $@

soak:
	@sh tests/deps.sh soak
	@$(MAKE) --no-print-directory $(BUILD)/demo/websock-demo
	/usr/bin/python3 -B tests/soak/run.py --build $(BUILD) --seconds $(or $(SECONDS),60)
