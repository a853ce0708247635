#!/bin/sh
# Peak memory of every command that goes over all bars, at 200 M bars and a few days of 10,000 tickers.
#
#   bench/limits.sh            200 M bars: a quarter of an hour, 6 GB of disk
#   bench/limits.sh 1          40 M bars
#
# Sync is measured where DATABASE_URL names a database that may be filled. Everything it makes stands in bench/work,
# which git ignores, and is removed again.
set -eu
cd "$(dirname "$0")/.."
program=${BACKFILL:-target/release/backfill}
work=bench/work

[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p "$work"
if [ ! -x "$work/make_bars" ] || [ bench/make_bars.rs -nt "$work/make_bars" ]; then
    rustc --edition 2024 -O -o "$work/make_bars" bench/make_bars.rs
fi
exec python3 bench/limits.py "$program" "$work" "${1:-5}"
