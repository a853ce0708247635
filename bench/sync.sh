#!/bin/sh
# Compares sync with other ways to load the same rows into the same keyed Postgres table, on one server.
#
#   bench/sync.sh              4 M bars: 20 tickers x 200,000
#   bench/sync.sh 10           a tenth of it
#
# All its files are in bench/work, which git ignores. The server is temporary, and needs Postgres's programs. Needs python3 with venv, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
files=$work/sync-files-$bars
store=$work/sync-store-$bars

venv 'psycopg2, adbc_driver_postgresql, pyarrow' psycopg2-binary adbc-driver-postgresql adbc-driver-manager pyarrow ||
    echo "note: without the network the Python programs are left out" >&2
bars_in "$files" 20 "$bars"
if [ ! -d "$store" ]; then
    "$program" -q --store "$store.part" inject-csv --csv-dir "$files" --threads 2
    mv "$store.part" "$store"
fi
exec "$work/venv/bin/python" bench/sync.py "$program" "$work" "$store"
