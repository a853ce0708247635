#!/usr/bin/env bash
# Brings what building and testing need and what is missing here:
#   - libduckdb in vendor/duckdb, from the npm package that DuckDB publishes it in, checked against a pinned sum
#   - Postgres and pgbouncer, which the tests start servers of their own from (Debian's packages; elsewhere it says what to
#     install)
# Does nothing, quickly, when all is there. `setup.sh --no-postgres` leaves Postgres alone.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------------------------------- libduckdb

version=1.5.6-r.1
package= library= sum=
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    package=@duckdb/node-bindings-linux-x64 library=libduckdb.so
    sum=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff ;;
  # Of these the registry had no build of this version when the sums were pinned; with a sum here they work the same way.
  Linux-aarch64) package=@duckdb/node-bindings-linux-arm64 library=libduckdb.so ;;
  Darwin-arm64) package=@duckdb/node-bindings-darwin-arm64 library=libduckdb.dylib ;;
  Darwin-x86_64) package=@duckdb/node-bindings-darwin-x64 library=libduckdb.dylib ;;
esac

# Points the build at vendor/duckdb. Written only where it differs: a new time stamp alone costs no build, but why.
point_cargo_at_vendor() {
  local wanted='[env]
DUCKDB_LIB_DIR = { value = "vendor/duckdb", relative = true }'
  # A file that points elsewhere, at a library that is there, is somebody's choice.
  if [ -f .cargo/vendor.toml ] && grep -q DUCKDB_LIB_DIR .cargo/vendor.toml; then return; fi
  printf '%s\n' "$wanted" >.cargo/vendor.toml
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

fetch_duckdb() {
  command -v npm >/dev/null ||
    die "libduckdb comes from an npm package, and there is no npm here. Install Node.js with npm, or set DUCKDB_LIB_DIR to a
       folder with $library of DuckDB ${version%-*}, or build with \`cargo build --release --features bundled\`"
  local tmp got
  mkdir -p vendor
  tmp=$(mktemp -d vendor/.duckdb.XXXXXX)
  # shellcheck disable=SC2064  # the folder's name of now is meant
  trap "rm -rf '$tmp'" EXIT
  say "fetching $package $version"
  (cd "$tmp" && npm pack --silent "$package@$version" >/dev/null) || die "npm could not fetch $package $version"
  got=$(sha256 "$tmp"/*.tgz)
  [ "$got" = "$sum" ] || die "$package $version has the sum $got, not $sum: it is not what was pinned, and is not used"
  tar -xzf "$tmp"/*.tgz -C "$tmp" "package/$library"
  mkdir -p vendor/duckdb
  # The new file in one step: a build that runs meanwhile sees the old one or this one.
  mv -f "$tmp/package/$library" "vendor/duckdb/$library"
  printf '%s\n' "$version" >vendor/duckdb/version
  rm -rf "$tmp"
  trap - EXIT
}

if [ -n "${DUCKDB_LIB_DIR:-}" ]; then
  say "libduckdb: DUCKDB_LIB_DIR says $DUCKDB_LIB_DIR"
elif [ -z "$package" ]; then
  say "libduckdb: no prebuilt one is known for $(uname -s) $(uname -m); cargo will try to download it, or build with --features bundled"
elif [ -e "vendor/duckdb/$library" ] && { [ ! -e vendor/duckdb/version ] || [ "$(cat vendor/duckdb/version)" = "$version" ]; }; then
  point_cargo_at_vendor
elif [ -z "$sum" ]; then
  say "libduckdb: no sum is pinned for $package $version, so it is not fetched from there;"
  say "           cargo will try to download the library itself. If that fails, build with --features bundled."
else
  fetch_duckdb
  point_cargo_at_vendor
  say "libduckdb: vendor/duckdb/$library"
fi

# ----------------------------------------------------------------------------------------------------- Postgres

have_postgres() {
  command -v initdb >/dev/null && command -v postgres >/dev/null && return
  local bin
  for bin in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && return
  done
  return 1
}

# Debian keeps it where a user's PATH may not lead.
have_pgbouncer() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || [ -x /usr/local/bin/pgbouncer ]; }

# The tests kill servers, and look for what is left of them.
have_all() { have_postgres && have_pgbouncer && command -v pgrep >/dev/null && command -v ps >/dev/null; }

[ "${1:-}" = --no-postgres ] && exit 0
if have_all; then
  :
elif command -v apt-get >/dev/null; then
  sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "the tests need Postgres and pgbouncer; as root: apt-get install postgresql pgbouncer"
    sudo=sudo
  fi
  say "installing Debian's postgresql, pgbouncer and procps"
  # No cluster of its own and no service: the tests start theirs. Debian's pgbouncer starts itself unless it is masked, or
  # policy-rc.d forbids it; one that was installed before is left alone.
  $sudo sh -c 'mkdir -p /etc/postgresql-common &&
    { [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf; } || exit 1
    new_pgbouncer= policy=
    if [ ! -x /usr/sbin/pgbouncer ]; then
      new_pgbouncer=yes
      if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        trap "rm -f $policy" EXIT
        printf "#!/bin/sh\nexit 101\n" >$policy && chmod 755 $policy
      fi
    fi
    install="apt-get install -y -qq --no-install-recommends postgresql pgbouncer procps"
    export DEBIAN_FRONTEND=noninteractive
    { $install >/dev/null 2>&1 || { apt-get update -qq && $install >/dev/null; }; } || exit 1
    # Nor at the next start of the machine.
    if [ -n "$new_pgbouncer" ]; then
      systemctl disable pgbouncer >/dev/null 2>&1 || update-rc.d pgbouncer disable >/dev/null 2>&1 || true
    fi' ||
    die "Debian's postgresql and pgbouncer could not be installed"
  have_all || die "postgresql and pgbouncer were installed, but their programs were not found"
else
  die "the tests need Postgres and pgbouncer; install them (macOS: brew install postgresql pgbouncer) and run this again"
fi
