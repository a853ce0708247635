#!/bin/sh
# Compares inject-csv with DuckDB's loading of the same files, on the same two cores.
#
#   bench/inject.sh            the standard size: 100 tickers x 200,000 bars, and a day of 10,000 tickers x 390
#   bench/inject.sh 10         a tenth of it
#
# All its files are in bench/work, which git ignores. Needs python3 with venv, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
day_tickers=$((10000 / part))
files=$work/files-$bars
day=$work/day-$day_tickers

venv duckdb 'duckdb==1.5.*'
maker
bars_in "$files" 100 "$bars"
if [ ! -d "$day" ]; then
    mkdir -p "$day.part"
    "$work/make_bars" day "$day.part/2020-01-02.csv" "$day_tickers"
    mv "$day.part" "$day"
fi
exec "$work/venv/bin/python" bench/inject.py "$program" "$work" "$files" "$day"
