#!/bin/sh
# Requests that a run adds to compare the price basis (docs/price-basis.md), over a year of five habits.
#
#   bench/compare.sh           about five minutes
#
# Needs python3, nothing else. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
. bench/common
exec python3 bench/compare.py "$program" "$work"
