#!/bin/sh
# concurrent against `backfill simulate`, both on this machine.
#
#   bench/fetch.sh             latency, rate, processor time: about three minutes
#   bench/fetch.sh long        also the memory of 1,000 tickers x one year: half an hour more
#
# Needs python3, nothing else. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
program=${BACKFILL:-target/release/backfill}
[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p bench/work
exec python3 bench/fetch.py "$program" bench/work "${1:-}"
