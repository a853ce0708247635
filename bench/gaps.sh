#!/bin/sh
# Planning, gaps and coverage at the size of a universe: 5,000 tickers x 10 years, 500 series x 5 years.
#
#   bench/gaps.sh              about two minutes, most of it to fetch the 500 series from `backfill simulate`
#
# Needs python3, nothing else. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
. bench/common
exec python3 bench/gaps.py "$program" "$work"
