#!/bin/sh
# Compares push to an object store on this machine with plain uploads of the same files and with delta-rs writing the same rows.
#
#   bench/push.sh              4 M bars: 20 tickers x 200,000; and 10,000 partitions
#   bench/push.sh 10           a tenth of it
#   TICKERS=100 bench/push.sh  20 M bars, with 100 tickers; and 10,000 partitions
#
# All its files are in bench/work, which git ignores. The server is SeaweedFS, which scripts/setup.sh --cluster installs.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
tickers=${TICKERS:-20}
files=$work/push-files-$tickers-$bars
store=$work/push-store-$tickers-$bars
many=$work/push-many-$part

scripts/setup.sh --cluster
bars_in "$files" "$tickers" "$bars"
if [ ! -d "$store" ]; then
    "$program" -q --store "$store.part" inject-csv --csv-dir "$files" --threads 2
    "$program" -q --store "$store.part" seal >/dev/null
    mv "$store.part" "$store"
fi
exec vendor/cluster/bin/python bench/push.py "$program" "$work" "$store" "$many" "$((500 / part))"
