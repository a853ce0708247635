#!/usr/bin/env bash
# test.sh FOLDER: makes a wheel of the program and the library in FOLDER, installs it into an environment of its own, and runs
# the tests of the Python package against it, in another folder and with an empty environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=scripts/package
built=$1
library=$(find -L "$built" -maxdepth 1 -name 'libduckdb.*' | head -n 1)
[ -n "$library" ] || library=$(find -L "$built/deps" -maxdepth 1 -name 'libduckdb.so' -o -name 'libduckdb.dylib' | head -n 1)
work=$PWD/target/python
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800} # 1980: the first that a wheel can have

rm -rf "$work/wheel"
$here/tree.sh "$built/backfill" "$library" "$work/tree" "$(rustc -vV | sed -n 's/^host: //p')"
wheel=$(python3 $here/wheel.py --level 1 "$work/tree" "$work/wheel")

# Kept between runs, for its dependencies; the package itself is always installed anew.
requirements=$(cat python/requirements-test.txt)
if [ "$(cat "$work/venv/requirements" 2>/dev/null)" != "$requirements" ]; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements-test.txt
  printf '%s\n' "$requirements" >"$work/venv/requirements"
fi
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tests=$PWD/python/tests
cd "$scratch"
env -i PATH=/usr/bin:/bin HOME="$scratch" TMPDIR="$scratch" PYTHONDONTWRITEBYTECODE=1 \
  "$work/venv/bin/python" -m pytest -q -p no:cacheprovider \
  -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true --basetemp="$scratch/tests" "$tests"
