#!/usr/bin/env bash
# Builds the packages of this machine's system into dist/: the tree, the archive, the wheel, the .deb, their SHA256SUMS, and
# the install script.
#   DIST_PROFILE=dist   cargo profile; `release` or `dev` build faster
#   GLIBC=2.28          the oldest glibc that the program will run with, on Linux; empty: that of this machine
# Two builds of a commit in the same folder have the same sums: times come from the commit, paths are replaced.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=scripts/package

profile=${DIST_PROFILE:-dist}
glibc=${GLIBC-2.28}
target=$(rustc -vV | sed -n 's/^host: //p')
version=$(cargo pkgid | sed 's/.*[#@]//')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# No path of this machine gets into the program. Paths may contain spaces: cargo separates these flags by a unit separator,
# and the crate `cc` reads its flags as a shell does.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=/backfill"$'\x1f'"--remap-path-prefix=$cargo_home=/cargo"
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }
export CC_SHELL_ESCAPED_FLAGS=1
CFLAGS="$(quoted "-ffile-prefix-map=$PWD=/backfill") $(quoted "-ffile-prefix-map=$cargo_home=/cargo")"
export CFLAGS

notices=()
case "$target" in
  *-linux-gnu)
    library=libduckdb.so
    if [ -n "$glibc" ]; then
      venv=target/zig
      [ -x "$venv/bin/cargo-zigbuild" ] || {
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r packaging/requirements-zig.txt
      }
      PATH=$PWD/$venv/bin:$PATH cargo zigbuild --locked --profile "$profile" --target "$target.$glibc"
      notices+=(--notice "Zig=$(echo "$venv"/lib/python3*/site-packages/ziglang/LICENSE)")
    else
      cargo build --locked --profile "$profile" --target "$target"
    fi ;;
  *-apple-darwin)
    library=libduckdb.dylib
    export MACOSX_DEPLOYMENT_TARGET=11.0 # that of libduckdb.dylib
    cargo build --locked --profile "$profile" --target "$target" ;;
  *) echo "dist: there are no packages for $target" >&2; exit 1 ;;
esac
built=target/$target/${profile/#dev/debug}

name=backfill-bars-$version-$target
tree=dist/$name
rm -rf "$tree" dist/"$name".tar.gz
$here/tree.sh "$built/backfill" "$built/$library" "$tree" "$target" ${notices[@]+"${notices[@]}"}
python3 $here/archive.py "$tree" "dist/$name.tar.gz"
wheel=$(python3 $here/wheel.py "$tree" dist)
packages=("$name.tar.gz" "$(basename "$wheel")")
if [[ $target = *-linux-gnu ]] && command -v dpkg-deb >/dev/null; then
  packages+=("$(basename "$($here/deb.sh "$tree" dist)")")
fi
(cd dist && if command -v sha256sum >/dev/null; then sha256sum "${packages[@]}"; else shasum -a 256 "${packages[@]}"; fi >SHA256SUMS)
python3 $here/render.py dist
cat dist/SHA256SUMS
