#!/usr/bin/env bash
# Measures `audit`, all checks, over 20 million one-minute bars of the simulator (52 tickers x 4 years).
# Usage: bench/audit.sh [WORKDIR [PROGRAM]]. Needs target/release/backfill. PROGRAM is another build, to compare with.
# TICKERS=2 in the environment measures fewer tickers, in a WORKDIR of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-bench/work/audit}
program=${2:-$PWD/target/release/backfill}
mkdir -p "$work"
tickers=$(seq -f 'T%02.0f' 1 "${TICKERS:-52}" | tr '\n' ' ')
# shellcheck disable=SC2086
[ -d "$work/store" ] || "$program" --store "$work/store" -q concurrent --provider demo --threads 8 --tickers $tickers \
    --start 2021-01-01 --end 2024-12-31 --rate 1000000 --seal always
for _ in 1 2 3; do
    \time -f '%e s, %U s of processor time + %S s of the system, %M KiB' "$program" --store "$work/store" audit
done
