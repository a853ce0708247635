#!/bin/sh
# export and status beside DuckDB's COPY of the same rows, on the same two cores.
#
#   bench/export.sh            the standard work: 100 tickers x 200,000 bars
#   bench/export.sh 10         a tenth of it
#
# Everything it makes stands in bench/work, which git ignores. Needs python3 with venv, and the network once.
set -eu
cd "$(dirname "$0")/.."
part=${1:-1}
program=${BACKFILL:-target/release/backfill}
work=bench/work
tickers=100
bars=$((200000 / part))

[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
fi
"$work/venv/bin/python" -c 'import duckdb' 2>/dev/null ||
    "$work/venv/bin/pip" install --quiet 'duckdb==1.5.*'
if [ ! -x "$work/make_bars" ] || [ bench/make_bars.rs -nt "$work/make_bars" ]; then
    rustc --edition 2024 -O -o "$work/make_bars" bench/make_bars.rs
fi
files=$work/files-$bars
if [ ! -d "$files" ]; then
    "$work/make_bars" files "$files.part" "$tickers" "$bars"
    mv "$files.part" "$files"
fi
exec "$work/venv/bin/python" bench/export.py "$program" "$work" "$files"
