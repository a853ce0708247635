#!/bin/sh
# Measures concurrent with `backfill simulate` as its provider, both on this machine.
#
#   bench/fetch.sh             latency, rate, processor time: about three minutes
#   bench/fetch.sh long        also the memory of 1,000 tickers x one year: half an hour more
#   bench/fetch.sh readers     processor time per bar of each provider, without latency: two minutes
#   bench/fetch.sh massive     one and four months from Massive, without latency: memory; a minute
#
# Needs only python3. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
. bench/common
exec python3 bench/fetch.py "$program" "$work" "${1:-}"
