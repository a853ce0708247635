#!/usr/bin/env bash
# Measures sealing for four habits of use: a day of many tickers added to full years, the same for 500 tickers with the seal by itself, ten years of
# one ticker in windows of a few days, and daily files of 10,000 tickers.
# Usage: bench/seal.sh [WORKDIR [PROGRAM]]. Needs target/release/backfill and python3 (its duckdb package goes to a scratch venv). PROGRAM is another
# build, to compare with.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-bench/work/seal}
program=${2:-$PWD/target/release/backfill}
mkdir -p "$work"
[ -x "$work/venv/bin/python" ] || { python3 -m venv "$work/venv"; "$work/venv/bin/pip" -q install duckdb==1.5.6; }

# make_file FILE TICKERS FIRST_DAY DAYS [FIRST_TICKER]: bars of 390 minutes a day, ticker by ticker.
make_file() {
    [ -f "$1" ] || "$work/venv/bin/python" - "$@" <<'PY'
import sys, duckdb
path, tickers, first, days = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ticker = int(sys.argv[5]) if len(sys.argv) > 5 else 0
duckdb.sql(f"""COPY (
  SELECT 'T' || t AS ticker, strftime(make_timestamp(1735828200000000 + d * 86400000000 + m * 60000000), '%Y-%m-%dT%H:%M:%SZ') AS timestamp,
    p AS open, p + 0.05 AS high, p - 0.05 AS low, p AS close, hash(t, d, m, 1) % 10000 AS volume
  FROM (SELECT t, d, m, round(100 + (hash(t, d, m) % 2000) / 100.0, 2) AS p
        FROM range({ticker}, {ticker} + {tickers}) a(t), range({first}, {first} + {days}) b(d), range(390) c(m)) ORDER BY t, d, m
) TO '{path}' (HEADER)""")
PY
}
seconds() { local began; began=$(date +%s.%N); "$@" >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }; echo "$(date +%s.%N) - $began" | bc; }
inject() { "$program" --store "$1" inject-csv "$2" --interval 1 -q "${@:3}"; }

rm -rf "$work/store"-*
make_file "$work/years.csv" 100 0 250
printf 'tickers: 100 tickers x 97,500 bars: %.1f s\n' "$(seconds inject "$work/store-tickers" "$work/years.csv")"
for day in $(seq 250 281); do
    make_file "$work/day-$day.csv" 100 "$day" 1
    printf '%s ' "$(seconds inject "$work/store-tickers" "$work/day-$day.csv")"
done | tr ' ' '\n' | awk 'NF { n++; sum += $1; if ($1 > max) max = $1 } END { printf "tickers: a day of 39,000 bars more: %.2f s on the average of %d, %.2f s at most\n", sum / n, n, max }'

for first in 0 100 200 300 400; do
    make_file "$work/years-$first.csv" 100 0 250 "$first"
    inject "$work/store-end" "$work/years-$first.csv" 2>/dev/null
done
for day in 250 251 252 253 254; do
    make_file "$work/end-$day.csv" 500 "$day" 1
    stored=$(seconds inject "$work/store-end" "$work/end-$day.csv" --seal never)
    \time -o "$work/times" -f '%e s, %U s of processor time + %S s of the system' "$program" --store "$work/store-end" seal >/dev/null
    printf 'end: a day of 195,000 bars of 500 tickers: stored in %.1f s, sealed in %s\n' "$stored" "$(cat "$work/times")"
done
find "$work/store-end/lake" -name bars.parquet -printf '%s\n' | awk '{ sum += $1 } END { printf "end: the lake has %.2f bytes a bar\n", sum / (500 * 255 * 390) }'

printf 'decade: one ticker, 2015 to 2024, by windows of 3 days: %.1f s\n' "$(seconds "$program" --store "$work/store-decade" specific --provider demo \
    --start 2015-01-01 --end 2024-12-31 --tickers SPY --rate 1000000 -q)"

for day in 0 1 2 3; do
    make_file "$work/flat-$day.csv" 10000 "$day" 1
    printf 'flat: day %d of 10,000 x 390 bars: %.1f s\n' "$day" "$(seconds inject "$work/store-flat" "$work/flat-$day.csv")"
done
printf 'flat: seal: %.1f s\n' "$(seconds "$program" --store "$work/store-flat" seal)"
