# What one does with this project. `make setup` is part of each: it is quick when nothing is missing.
CARGO  ?= cargo
PREFIX ?= /usr/local

PROGRAM = target/release/backfill
LIBRARY = $(firstword $(wildcard target/release/libduckdb.* target/release/deps/libduckdb.so target/release/deps/libduckdb.dylib))

.PHONY: setup library build demo test soak lint bench install

setup:    ## all that is missing here: libduckdb, Postgres, pgbouncer
	@scripts/setup.sh

library:  # what building alone needs
	@scripts/setup.sh --no-postgres

build: library    ## target/release/backfill
	$(CARGO) build --release

# The development build, for it compiles in a fraction of the time, and `make test` goes on from it.
demo: library     ## three tickers over a month from the simulator, the sample dump, status, export
	$(CARGO) build
	@scripts/demo.sh target/debug/backfill

# Document tests first, so that the last word is that of the tests that drive the program.
test: setup       ## all tests, on a Postgres of their own
	$(CARGO) test --features crash-points --doc
	$(CARGO) test --features crash-points --lib --test architecture --test it

soak: setup       ## SOAK_SECONDS=3600 of seeded runs with kills, each back to the truth; SOAK_SEED=N begins at a seed
	$(CARGO) test --features crash-points --lib --test it --no-run
	$(CARGO) test --features crash-points --test it soak::for_as_long_as_asked -- --exact --ignored --nocapture
	MODEL_STEPS=$${MODEL_STEPS:-3000} MODEL_SEED=$${SOAK_SEED:-1} \
	  $(CARGO) test --features crash-points --test it model::the_way_of_a_bar_is_a_map -- --exact
	FUZZ_ROUNDS=$${FUZZ_ROUNDS:-100000} FUZZ_SEED=$${SOAK_SEED:-1} \
	  $(CARGO) test --features crash-points --lib mutated_

lint: library     ## what CI refuses
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features crash-points -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; else echo "cargo-deny is not installed: licences and advisories are not checked"; fi

bench: build      ## beside their peers, as ratios; bench/limits.sh, memory at 200 M bars, is for itself
	@set -e; for script in bench/*.sh; do [ "$$script" = bench/limits.sh ] && continue; echo "== $$script"; "$$script"; done

install: build    ## PREFIX=/usr/local: the program, its library, manual page and completions
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib/backfill" "$(DESTDIR)$(PREFIX)/share/man/man1" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	install -m 755 $(PROGRAM) "$(DESTDIR)$(PREFIX)/bin/backfill"
	$(if $(LIBRARY),install -m 644 $(LIBRARY) "$(DESTDIR)$(PREFIX)/lib/backfill/")
	$(PROGRAM) man >"$(DESTDIR)$(PREFIX)/share/man/man1/backfill.1"
	$(PROGRAM) completions bash >"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/backfill"
	$(PROGRAM) completions zsh >"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_backfill"
	$(PROGRAM) completions fish >"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/backfill.fish"
