# siege.mk: the siege's attackers, its honest client and their server; included by the top
# Makefile. Shares sockets and figures with the benchmark.
.PHONY: siege siege-programs

# SIEGE=... passes run.py's other options, as in SIEGE="--only NAME".
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
# Forges records with the tests' client.
$(siege_dir)/half_key_update: $(BUILD)/tests/siege/half_key_update.o $(src_objects) $(client_objects)
$(siege_dir)/server: $(BUILD)/tests/siege/server.o $(archive)
$(siege_programs):
	@mkdir -p $(@D)
	$(CXX) $(sanitize) $(LDFLAGS) $(sort $(filter %.o,$^)) $(filter %.a,$^) $(libs) -o $@
