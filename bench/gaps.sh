#!/bin/sh
# Planning, gaps and coverage at the size of a universe: 5,000 tickers x 10 years, 500 series x 5 years.
#
#   bench/gaps.sh              about two minutes, most of it to fetch the 500 series from `backfill simulate`
#
# Needs python3, nothing else. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
program=${BACKFILL:-target/release/backfill}
[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p bench/work
exec python3 bench/gaps.py "$program" bench/work
