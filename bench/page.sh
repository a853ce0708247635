#!/bin/sh
# Times `report` and each view of `serve`, over 500 series x 5 years, and the coverage of 10,000 tickers x
# 20 years: responses, and pictures per second while a browser scrolls.
#
#   bench/page.sh            all of it
#   bench/page.sh 10         a tenth of the tickers
#
# All its files are in bench/work, which git ignores. Needs python3 with venv, chromium with chromedriver for
# the pictures, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
venv duckdb 'duckdb==1.5.*'
"$work/venv/bin/python" bench/page_stores.py "$program" "$work" "$part"
exec "$work/venv/bin/python" bench/page.py "$program" "$work" "$part"
