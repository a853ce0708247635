#!/usr/bin/env bash
# tree.sh PROGRAM LIBRARY TREE TARGET [--notice NAME=FILE]: the files that every package has, in the folder TREE.
set -euo pipefail
program=$1 library=$2 tree=$3 target=$4
shift 4

rm -rf "$tree"
share=$tree/share
mkdir -p "$tree/bin" "$tree/lib/backfill" "$share/man/man1" "$share/bash-completion/completions" \
  "$share/zsh/site-functions" "$share/fish/vendor_completions.d" "$share/doc/backfill-bars"
cp "$program" "$tree/bin/backfill"
chmod 755 "$tree/bin/backfill"
# A program of the profile `dist` has no debugging information; others may have more than code.
if command -v strip >/dev/null; then strip -S "$tree/bin/backfill"; fi
cp -L "$library" "$tree/lib/backfill/"

run() { env -i HOME=/nonexistent "$tree/bin/backfill" "$@"; }
run man >"$share/man/man1/backfill.1"
run completions bash >"$share/bash-completion/completions/backfill"
run completions zsh >"$share/zsh/site-functions/_backfill"
run completions fish >"$share/fish/vendor_completions.d/backfill.fish"

cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE NOTICE "$share/doc/backfill-bars/"
python3 "$(dirname "$0")/licences.py" --target "$target" "$@" >"$share/doc/backfill-bars/LICENSES-THIRD-PARTY.txt"
# Not what the umask of this machine gives.
chmod -R u=rwX,go=rX "$tree"
