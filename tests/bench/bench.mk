# bench.mk: the benchmark's clients, floors and peers; included by the top Makefile.
bench_dir := $(BUILD)/bench
comma := ,
bench_clients := $(addprefix $(bench_dir)/,load churn idle fanout crowd stale bulk)
bench_floors := $(addprefix $(bench_dir)/,thread_floor epoll_floor fanout_floor bulk_floor)
bench_deflate := $(addprefix $(bench_dir)/,deflate_load deflate_fanout)
bench_programs := $(bench_clients) $(bench_deflate) $(bench_floors) $(addprefix $(bench_dir)/,micro dispatch echo_server echo_server_locks echo_server_cxx bulk_server publish calls)

# Other libraries' servers, where their headers are installed.
with_header = $(if $(wildcard $(addsuffix /$(1),/usr/include /usr/local/include)),$(2))
bench_peers := $(addprefix $(bench_dir)/peers/,\
  $(call with_header,libwebsockets.h,libwebsockets) \
  $(call with_header,boost/beast.hpp,beast_sync beast_async) \
  $(call with_header,websocketpp/server.hpp,websocketpp))
# Debian's Go libraries are sources, here. Nothing comes from the network.
gopath := /usr/share/gocode
bench_go_peers := $(if $(shell command -v go),$(if $(wildcard $(gopath)/src/github.com/gorilla/websocket),$(bench_dir)/peers/gorilla))

bench_cluster := $(if $(has_hiredis),$(addprefix $(bench_dir)/,cluster_node cluster_reader cluster_floor))

.PHONY: bench bench-programs

# BENCH=... passes run.py's other options, or cluster.py's; COMPRESSION=1 is that part alone. Peers
# are looked for again after deps.sh.
bench:
	@sh tests/deps.sh bench
	@$(MAKE) --no-print-directory bench-programs
	/usr/bin/python3 -B tests/bench/$(if $(CLUSTER),cluster.py,run.py) --build $(bench_dir) \
	  $(if $(QUICK),--quick) $(if $(COMPRESSION),--only compression) $(BENCH)

bench-programs: $(bench_programs) $(bench_peers) $(bench_go_peers) $(bench_cluster)
$(bench_clients): $(bench_dir)/%: $(addprefix $(BUILD)/tests/bench/,%.o peers.o exchange.o stream.o settings.o meter.o)
$(bench_deflate): $(bench_dir)/%: $(addprefix $(BUILD)/tests/bench/,%.o deflate_peers.o deflate_client.o texts.o exchange.o stream.o settings.o meter.o)
$(bench_clients): bench_libs := -lssl -lcrypto
$(bench_deflate) $(bench_dir)/micro $(bench_dir)/dispatch: bench_libs := -lssl -lcrypto -lz
$(bench_floors): $(bench_dir)/%: $(addprefix $(BUILD)/tests/bench/,%.o raw_echo.o)
$(bench_dir)/micro $(bench_dir)/dispatch: $(bench_dir)/%: $(BUILD)/tests/bench/%.o $(src_objects)
bench_servers := $(addprefix $(bench_dir)/,echo_server echo_server_cxx bulk_server publish calls)
$(bench_servers): $(bench_dir)/%: $(BUILD)/tests/bench/%.o $(archive)
# The same server, whose use of mutexes is counted.
bench_locks := $(bench_dir)/echo_server_locks
$(bench_locks): $(addprefix $(BUILD)/tests/bench/,echo_server.o lock_count.o) $(archive)
$(bench_locks): bench_wrapped := $(addprefix -Wl$(comma)--wrap=pthread_,mutex_lock mutex_trylock \
  mutex_unlock cond_wait cond_timedwait cond_clockwait)
$(bench_clients) $(bench_deflate) $(bench_floors) $(bench_dir)/micro $(bench_dir)/dispatch:
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(bench_libs) -pthread -o $@
$(bench_servers) $(bench_locks):
	@mkdir -p $(@D)
	$(CC) $(sanitize) $(LDFLAGS) $(bench_wrapped) $^ $(libs) -o $@

# Built like released programs, without Boost's assertions. The headers of Debian 12 are older
# than C++20.
$(bench_peers): $(bench_dir)/peers/%: $(BUILD)/tests/bench/peers/%.o
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $^ $(bench_libs) -pthread -o $@
$(bench_peers): cppflags += -DNDEBUG
$(bench_dir)/peers/libwebsockets: bench_libs := -lwebsockets
$(bench_dir)/peers/websocketpp: bench_libs := -lz
$(bench_peers): cxxflags += -std=c++17

$(bench_go_peers): $(bench_dir)/peers/%: tests/bench/peers/%.go
	@mkdir -p $(@D)
	GO111MODULE=off GOPATH=$(gopath) GOCACHE=$(abspath $(BUILD))/go-cache go build -o $@ $<

$(bench_dir)/cluster_node: $(BUILD)/tests/bench/cluster_node.o $(redis_archive) $(archive)
	$(CC) $(sanitize) $(LDFLAGS) $^ $(redis_libs) $(libs) -o $@
$(bench_dir)/cluster_reader: $(addprefix $(BUILD)/tests/bench/,cluster_reader.o exchange.o stream.o settings.o meter.o)
	$(CXX) $(sanitize) $(LDFLAGS) $^ -lssl -lcrypto -pthread -o $@
$(bench_dir)/cluster_floor: $(BUILD)/tests/bench/cluster_floor.o
	$(CC) $(sanitize) $(LDFLAGS) $^ $(redis_libs) -pthread -o $@
