# fuzz.mk: the fuzz targets; included by the top Makefile.
.PHONY: fuzz fuzz-programs

# A fuzz target is one file; the other files there are shared.
fuzz_targets := frame handshake request_body negotiation utf8 mask connection tls topic_log redis_packet \
  inflate deflate
fuzz_programs := $(addprefix $(BUILD)/tests/fuzz/,$(fuzz_targets))
fuzz_shared := $(addprefix $(BUILD)/tests/fuzz/,reference.o http.o)
fuzz-programs: $(fuzz_programs)
ifneq ($(findstring fuzzer,$(SANITIZE)),)
fuzz_main := -fsanitize=fuzzer # libFuzzer's
else
fuzz_main := $(BUILD)/tests/fuzz/replay.o
$(fuzz_programs): $(fuzz_main)
endif
$(BUILD)/tests/fuzz/tls: $(BUILD)/tests/support/certificates.o
$(BUILD)/tests/fuzz/redis_packet: $(BUILD)/src/redis_connection/packet.o # which needs no hiredis
$(fuzz_programs): %: %.o $(fuzz_shared) $(src_objects)
	$(CXX) $(sanitize) $(LDFLAGS) $(sort $(filter %.o,$^) $(fuzz_main)) $(libs) -o $@

fuzz:
	@sh tests/deps.sh check
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CXX=clang++ CXXFLAGS='-O1 -g' \
	  SANITIZE=fuzzer-no-link,address,undefined fuzz-programs
	@sh tests/fuzz/run.sh $(BUILD)/fuzz $(or $(SECONDS),60) $(or $(TARGETS),$(fuzz_targets))
