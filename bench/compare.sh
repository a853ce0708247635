#!/bin/sh
# The requests that runs add to compare the price basis (docs/price-basis.md), over a year, for five habits.
#
#   bench/compare.sh           about five minutes
#
# Needs only python3. BACKFILL names another program to measure.
set -eu
cd "$(dirname "$0")/.."
. bench/common
exec python3 bench/compare.py "$program" "$work"
