#!/bin/sh
# bundle create, verify and apply beside tar and sha256sum over the same lake, which check and stage nothing.
#
#   bench/bundle.sh            the standard work: 100 tickers x 200,000 bars
#   bench/bundle.sh 10         a tenth of it
#
# Everything it makes stands in bench/work, which git ignores. Needs python3.
set -eu
cd "$(dirname "$0")/.."
part=${1:-1}
program=${BACKFILL:-target/release/backfill}
work=bench/work
bars=$((200000 / part))

[ -x "$program" ] || { echo "error: $program is not there" >&2; echo "hint: make build" >&2; exit 1; }
mkdir -p "$work"
if [ ! -x "$work/make_bars" ] || [ bench/make_bars.rs -nt "$work/make_bars" ]; then
    rustc --edition 2024 -O -o "$work/make_bars" bench/make_bars.rs
fi
files=$work/files-$bars
if [ ! -d "$files" ]; then
    "$work/make_bars" files "$files.part" 100 "$bars"
    mv "$files.part" "$files"
fi
store=$work/store-bundle-$bars
if [ ! -d "$store" ]; then
    "$program" --store "$store.part" inject-csv --csv-dir "$files" -q
    mv "$store.part" "$store"
fi
exec python3 bench/bundle.py "$program" "$store" "$work/bundle"
