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
. bench/common
maker
exec python3 bench/limits.py "$program" "$work" "${1:-5}"
