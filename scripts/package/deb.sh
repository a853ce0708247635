#!/usr/bin/env bash
# deb.sh TREE FOLDER: Debian's package of the tree, in FOLDER. Prints its path.
set -euo pipefail
tree=$1 folder=$2
version=$(cargo pkgid | sed 's/.*[#@]//')
description=$(sed -n 's/^description = "\(.*\)"$/\1/p' Cargo.toml)
# A pre-release sorts before its release.
version=${version/-/\~}
architecture=$(dpkg --print-architecture)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/DEBIAN" "$root/usr"
cp -R "$tree/." "$root/usr/"
doc=$root/usr/share/doc/backfill-bars
cat "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE" "$doc/NOTICE" "$doc/LICENSES-THIRD-PARTY.txt" >"$doc/copyright"
rm "$doc"/LICENSE*
mkdir -p "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions/_backfill" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
gzip -9n "$root/usr/share/man/man1/backfill.1" "$doc/CHANGELOG.md"

# The oldest glibc whose symbols are needed.
glibc=$(objdump -p "$root/usr/bin/backfill" "$root"/usr/lib/backfill/libduckdb.so | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)
cat >"$root/DEBIAN/control" <<CONTROL
Package: backfill-bars
Version: $version
Architecture: $architecture
Maintainer: The backfill-bars authors <backfill-bars@example.invalid>
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
Depends: libc6 (>= $glibc), libstdc++6 (>= 8), libgcc-s1, ca-certificates
Section: science
Priority: optional
Description: $description
 Bars come from data providers and CSV files into a local store of plain
 Parquet files. The program finds and fills gaps, runs SQL over the bars,
 and syncs them to Postgres.
CONTROL
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
chmod -R u=rwX,go=rX "$root"

package=$folder/backfill-bars_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >&2
echo "$package"
