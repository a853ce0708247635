#!/bin/sh
# Measures planning, gaps and coverage for many tickers: 5,000 tickers x 10 years, 500 series x 5 years.
#
#   bench/gaps.sh              about two minutes, mostly to download the 500 series from `backfill simulate`
#
# Needs only python3. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
. bench/common
exec python3 bench/gaps.py "$program" "$work"
