# The tasks of this project. Each runs what it needs of scripts/setup.sh, which is quick if nothing is missing.
CARGO  ?= cargo
PREFIX ?= /usr/local

PROGRAM = target/release/backfill
SCRIPTS = .ci/run bench/common bench/*.sh scripts/*.sh scripts/package/*.sh packaging/install.sh.in
LIBRARY = $(firstword $(wildcard target/release/libduckdb.* target/release/deps/libduckdb.so target/release/deps/libduckdb.dylib))

.PHONY: setup library build demo test test-page test-cluster test-spark test-python screenshots soak lint bench install dist

setup:    ## download what is missing: libduckdb, Postgres, pgbouncer
	@scripts/setup.sh

library:  # for building only
	@scripts/setup.sh --no-postgres

build: library    ## target/release/backfill
	$(CARGO) build --release

# The development build: it compiles much faster, and `make test` continues from it.
demo: library     ## a tour: a month of simulated bars, CSV files, status, query, export
	$(CARGO) build
	@scripts/demo.sh target/debug/backfill

# Document tests first: the summary at the end is then that of the tests that run the program.
test: setup       ## all tests; they start their own Postgres
	$(CARGO) test --features crash-points --doc
	$(CARGO) test --features crash-points --lib --test architecture --test it

test-page: library ## the page of `report` and `serve` in a real browser; installs Debian's chromium if it is missing
	@scripts/setup.sh --browser
	$(CARGO) test --features crash-points --test it page::browser -- --ignored --skip screenshots

test-cluster: library ## `push` to object storage, read by other engines; installs them into vendor/cluster if they are missing
	@scripts/setup.sh --cluster
	$(CARGO) test --features crash-points --test it cluster:: -- --ignored --skip cluster::spark

test-spark: library ## the files of a pushed table in Apache Spark; needs Java. Not in .ci/run
	@scripts/setup.sh --cluster
	@scripts/setup.sh --spark
	$(CARGO) test --features crash-points --test it cluster::spark -- --ignored

test-python: library ## the Python package, as a wheel of the development build, in an environment of its own
	@scripts/setup.sh --python
	$(CARGO) build
	@scripts/package/test.sh target/debug

screenshots: library ## docs/screenshots, made in a real browser
	@scripts/setup.sh --browser
	mkdir -p docs/screenshots
	SCREENSHOTS="$(CURDIR)/docs/screenshots" $(CARGO) test --features crash-points --test it page::browser::screenshots -- --ignored --exact

soak: setup       ## random runs with kills, for SOAK_SECONDS=3600; SOAK_SEED=N is the first seed
	$(CARGO) test --features crash-points --lib --test it --no-run
	$(CARGO) test --features crash-points --test it soak::runs_for_the_given_time -- --exact --ignored --nocapture
	MODEL_STEPS=$${MODEL_STEPS:-3000} MODEL_SEED=$${SOAK_SEED:-1} \
	  $(CARGO) test --features crash-points --test it model::a_store_behaves_like_a_map -- --exact
	FUZZ_ROUNDS=$${FUZZ_ROUNDS:-100000} FUZZ_SEED=$${SOAK_SEED:-1} \
	  $(CARGO) test --features crash-points --lib mutated_

lint: library     ## the checks of CI
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features crash-points -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	$(CARGO) check --manifest-path fuzz/Cargo.toml --target-dir target
	npx --yes --package typescript@5.9.3 tsc --project page/jsconfig.json
	@scripts/setup.sh --lint
	vendor/lint/bin/shellcheck --external-sources --severity=warning $(SCRIPTS)
	vendor/lint/bin/hadolint packaging/Dockerfile
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; else echo "cargo-deny is not installed: licences and advisories are not checked"; fi

bench: build      ## compare with other programs; without bench/limits.sh (memory at 200 M bars)
	@set -e; for script in bench/*.sh; do [ "$$script" = bench/limits.sh ] && continue; echo "== $$script"; "$$script"; done

dist: library     ## packages of this system in dist/; DIST_PROFILE=release builds faster
	@scripts/setup.sh --python
	@scripts/package/dist.sh

install: build    ## program, library, manual page and completions, under PREFIX=/usr/local
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib/backfill" "$(DESTDIR)$(PREFIX)/share/man/man1" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	install -m 755 $(PROGRAM) "$(DESTDIR)$(PREFIX)/bin/backfill"
	$(if $(LIBRARY),install -m 644 $(LIBRARY) "$(DESTDIR)$(PREFIX)/lib/backfill/")
	$(PROGRAM) man >"$(DESTDIR)$(PREFIX)/share/man/man1/backfill.1"
	$(PROGRAM) completions bash >"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/backfill"
	$(PROGRAM) completions zsh >"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_backfill"
	$(PROGRAM) completions fish >"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/backfill.fish"
