#!/bin/sh
# Measures the peak memory of each command that reads all bars, at 200 M bars and four days of 10,000 tickers.
#
#   bench/limits.sh            200 M bars: a quarter of an hour, 6 GB of disk
#   bench/limits.sh 1          40 M bars
#
# Sync is measured if DATABASE_URL names a database, which is filled. All files are in bench/work, which git ignores, and
# are removed at the end.
set -eu
cd "$(dirname "$0")/.."
. bench/common
maker
exec python3 bench/limits.py "$program" "$work" "${1:-5}"
