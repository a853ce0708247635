#!/bin/sh
# Compares inject-csv of many small files with DuckDB's loading of the same files, and times an update of
# a whole day, on the same two cores.
#
#   bench/small.sh            5,000 files of 390 bars in 50 folders, and a day of 10,000 tickers x 390
#   bench/small.sh 10         a tenth of it
#
# All its files are in bench/work, which git ignores. Needs python3 with venv, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
days=$((100 / part))
day_tickers=$((10000 / part))
files=$work/small-$days
day=$work/day-$day_tickers

venv duckdb 'duckdb==1.5.*'
maker
if [ ! -d "$files" ]; then
    "$work/make_bars" small "$files.part" 50 "$days"
    mv "$files.part" "$files"
fi
if [ ! -d "$day" ]; then
    mkdir -p "$day.part"
    "$work/make_bars" day "$day.part/2020-01-02.csv" "$day_tickers"
    mv "$day.part" "$day"
fi
exec "$work/venv/bin/python" bench/small.py "$program" "$work" "$files" "$day"
