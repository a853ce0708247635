#!/bin/sh
# Compares bundle create, verify and apply with tar and sha256sum over the same lake, which check and store nothing.
#
#   bench/bundle.sh            the standard size: 100 tickers x 200,000 bars
#   bench/bundle.sh 10         a tenth of it
#
# All its files are in bench/work, which git ignores. Needs python3.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
files=$work/files-$bars
store=$work/store-bundle-$bars

bars_in "$files" 100 "$bars"
if [ ! -d "$store" ]; then
    "$program" --store "$store.part" inject-csv --csv-dir "$files" -q
    mv "$store.part" "$store"
fi
exec python3 bench/bundle.py "$program" "$store" "$work/bundle"
