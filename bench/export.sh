#!/bin/sh
# Compares export and status with DuckDB's COPY of the same rows, on the same two cores.
#
#   bench/export.sh            the standard size: 100 tickers x 200,000 bars
#   bench/export.sh 10         a tenth of it
#
# All its files are in bench/work, which git ignores. Needs python3 with venv, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
files=$work/files-$bars

venv duckdb 'duckdb==1.5.*'
bars_in "$files" 100 "$bars"
exec "$work/venv/bin/python" bench/export.py "$program" "$work" "$files"
