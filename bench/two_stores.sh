#!/bin/sh
# Compares two stores of 20 million bars: equal ones, and one with other values in each bar, as from another vendor. Prints
# bars (of one store) per second, processor time and memory.
#
#   bench/two_stores.sh         100 tickers x 200,000 bars in each store
#   bench/two_stores.sh 10      a tenth of it
#
# All its files are in bench/work, which git ignores.
set -eu
cd "$(dirname "$0")/.."
. bench/common
part=${1:-1}
bars=$((200000 / part))
files=$work/files-$bars
here=$work/two-here-$bars
other=$work/two-other-$bars

bars_in "$files" 100 "$bars"
store() {
    [ -d "$1/lake" ] || "$program" inject-csv --csv-dir "$2" --store "$1" --seal always -q
}
store "$here" "$files"
if [ ! -d "$files-other" ]; then
    mkdir -p "$files-other.part"
    for file in "$files"/*.csv; do
        awk -F, -v OFS=, -v CONVFMT=%.10g 'NR > 1 { for (i = 3; i <= 6; i++) $i = $i + 0.0001 * (NR % 7); $7 = $7 * 2 } 1' "$file" > "$files-other.part/$(basename "$file")"
    done
    mv "$files-other.part" "$files-other"
fi
store "$other" "$files-other"

measure() {
    name=$1
    shift
    for _ in 1 2 3; do
        /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$program" compare "$@" --store "$here" --format csv > "$work/compared.csv" 2> "$work/log" || {
            cat "$work/log"
            exit 1
        }
        awk -v name="$name" -v bars="$((100 * bars))" '{ printf "%s: %.2f M bars/s (%.2f s, %.2f s busy, %d MiB)\n", name, bars / $1 / 1e6, $1, $2 + $3, $4 / 1024 }' "$work/time"
    done
}
measure "equal stores" "$here"
measure "another vendor" "$other"
measure "equal stores by session" "$here" --by session
