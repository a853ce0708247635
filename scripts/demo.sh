#!/usr/bin/env bash
# A tour: simulated bars in one store, the sample files in another (a store holds demo bars or real ones). A second run
# changes nothing except the counts of skipped bars.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/backfill}

run() {
  printf '\n$ backfill'
  local word
  for word in "$@"; do
    case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
  done
  printf '\n'
  "$program" "$@"
}
has() { "$program" help "$1" >/dev/null 2>&1; }

"$program" --version

if has concurrent; then
  run concurrent --provider demo --start 010125 --end 310125 --tickers AAPL MSFT NVDA --on-conflict ignore
  run status --store data/demo
  run export --store data/demo --to exports/demo --format parquet --partition-by ticker
fi

if has inject-csv; then
  run inject-csv --store data/demo-sample --csv-dir data/sample --on-conflict ignore
  has status && run status --store data/demo-sample
  has query && run query --store data/demo-sample \
    "select ticker, count(*) as bars, min(timestamp) as first, max(timestamp) as last from bars group by ticker order by ticker"
  has export && run export --store data/demo-sample --to exports/sample.parquet
  has verify && run verify --store data/demo-sample
fi
