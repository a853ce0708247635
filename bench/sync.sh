#!/bin/sh
# sync beside other ways of getting the same rows into the same keyed Postgres table, on one server.
#
#   bench/sync.sh              4 M bars: 20 tickers x 200,000
#   bench/sync.sh 10           a tenth of it
#
# Everything it makes stands in bench/work, which git ignores; the server is a throwaway one, and needs Postgres's
# programs. Needs python3 with venv, and the network once.
set -eu
cd "$(dirname "$0")/.."
part=${1:-1}
program=${BACKFILL:-target/release/backfill}
work=bench/work
tickers=20
bars=$((200000 / part))

[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
fi
"$work/venv/bin/python" -c 'import psycopg2, adbc_driver_postgresql, pyarrow' 2>/dev/null ||
    "$work/venv/bin/pip" install --quiet psycopg2-binary adbc-driver-postgresql adbc-driver-manager pyarrow ||
    echo "note: without the network the Python peers are left out" >&2
if [ ! -x "$work/make_bars" ] || [ bench/make_bars.rs -nt "$work/make_bars" ]; then
    rustc --edition 2024 -O -o "$work/make_bars" bench/make_bars.rs
fi
files=$work/sync-files-$bars
if [ ! -d "$files" ]; then
    "$work/make_bars" files "$files.part" "$tickers" "$bars"
    mv "$files.part" "$files"
fi
store=$work/sync-store-$bars
if [ ! -d "$store" ]; then
    "$program" -q --store "$store.part" inject-csv --csv-dir "$files" --threads 2
    mv "$store.part" "$store"
fi
exec "$work/venv/bin/python" bench/sync.py "$program" "$work" "$store"
