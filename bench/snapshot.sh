#!/usr/bin/env bash
# Measures what the snapshots for readers cost a writer: the processor time of the thread that publishes them, and of the
# whole run, for a download whose bars stay hot (the catalog is largest then). The links to partitions are made on other
# threads, which aren't counted.
# Usage: bench/snapshot.sh [WORKDIR] [TICKERS] [SECONDS]. Needs target/release/backfill, on Linux.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-bench/work/snapshot}
tickers=${2:-500}
seconds=${3:-100}
program=$PWD/target/release/backfill
mkdir -p "$work"
rm -rf "$work/store"
names=$(seq -f 'T%g' -s ' ' 1 "$tickers")
# shellcheck disable=SC2086 # one word for each ticker
"$program" --store "$work/store" concurrent --provider demo --start 2015-01-01 --end 2024-12-31 --tickers $names \
    --rate 60000 --threads 4 -q --no-progress 2>"$work/log" &
run=$!
trap 'kill -9 "$run" 2>/dev/null || true' EXIT
ticks=$(getconf CLK_TCK)
published=0
last=
thread=0
all=0
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ] && kill -0 "$run" 2>/dev/null; do
    for task in /proc/"$run"/task/*; do
        if [ "$(cat "$task/comm" 2>/dev/null)" = snapshots ]; then
            # Nanoseconds on a processor.
            thread=$(cut -d' ' -f1 "$task/schedstat")
        fi
    done
    all=$(awk -v ticks="$ticks" '{ sub(/^.*\) /, ""); print ($12 + $13) / ticks }' "/proc/$run/stat")
    now=$(ls -d "$work"/store/tmp/published-* 2>/dev/null | tail -n 1 || true)
    if [ -n "$now" ] && [ "$now" != "$last" ]; then
        published=$((published + 1))
        last=$now
    fi
    sleep 0.5
done
rows=$("$program" --store "$work/store" status --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"]["rows"])')
bytes=$(stat -c %s "$work/store/staging.duckdb" "$work/store/staging.duckdb.wal" 2>/dev/null | awk '{ sum += $1 } END { print sum }')
awk -v n="$published" -v thread="$thread" -v all="$all" -v rows="$rows" -v bytes="$bytes" 'BEGIN {
    printf "%d snapshots, catalog of %.0f MB, %d rows in the last: %.2f s of %.1f s of processor time, %.1f %%\n",
        n, bytes / 1e6, rows, thread / 1e9, all, thread / 1e7 / all }'
