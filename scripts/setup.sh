#!/usr/bin/env bash
# Downloads what building and testing need:
#   - libduckdb into vendor/duckdb, from DuckDB's npm package, with a pinned hash
#   - Postgres and pgbouncer for the tests (Debian's packages; on other systems it prints what to install)
#   - a browser for the tests of the page, if `setup.sh --browser` is called
#   - a server for object storage and engines that read Delta tables into vendor/cluster, if `setup.sh --cluster` is called;
#     Spark and its jars into vendor/spark with `setup.sh --spark`
#   - Python's venv for its tests and for packages, if `setup.sh --python` is called; linters into vendor/lint with
#     `setup.sh --lint`
# Quick if nothing is missing. `setup.sh --no-postgres` skips Postgres.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------------------------------- libduckdb

version=1.5.6-r.1
package='' library='' sum=''
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    package=@duckdb/node-bindings-linux-x64 library=libduckdb.so
    sum=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff ;;
  Linux-aarch64)
    package=@duckdb/node-bindings-linux-arm64 library=libduckdb.so
    sum=3a45a6305b3235a781ed9de25aa795a3862acd042782d1f864e1bdb656de212b ;;
  Darwin-arm64)
    package=@duckdb/node-bindings-darwin-arm64 library=libduckdb.dylib
    sum=6ca33c2c6566246d6a452e24194f004010dd860d5b2764c7143ff255555862ca ;;
  Darwin-x86_64)
    package=@duckdb/node-bindings-darwin-x64 library=libduckdb.dylib
    sum=1004f6a9ec624612e8d30e25010070e7e3aac23fc807146a470c5a4f6f6e38e0 ;;
esac

# Points the build at vendor/duckdb. Written only if it differs.
point_cargo_at_vendor() {
  local wanted='[env]
DUCKDB_LIB_DIR = { value = "vendor/duckdb", relative = true }'
  # A file that names another library was written by the user.
  if [ -f .cargo/vendor.toml ] && grep -q DUCKDB_LIB_DIR .cargo/vendor.toml; then return; fi
  printf '%s\n' "$wanted" >.cargo/vendor.toml
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

fetch_duckdb() {
  command -v npm >/dev/null ||
    die "libduckdb comes from an npm package, and npm is missing. Install Node.js with npm, or set DUCKDB_LIB_DIR to a
       folder with $library of DuckDB ${version%-*}, or build with \`cargo build --release --features bundled\`"
  local tmp got
  mkdir -p vendor
  tmp=$(mktemp -d vendor/.duckdb.XXXXXX)
  # shellcheck disable=SC2064  # expand \$tmp now
  trap "rm -rf '$tmp'" EXIT
  say "fetching $package $version"
  (cd "$tmp" && npm pack --silent "$package@$version" >/dev/null) || die "npm could not fetch $package $version"
  got=$(sha256 "$tmp"/*.tgz)
  [ "$got" = "$sum" ] || die "$package $version has the sum $got, not $sum: it isn't the pinned one, and isn't used"
  tar -xzf "$tmp"/*.tgz -C "$tmp" "package/$library"
  mkdir -p vendor/duckdb
  # By rename, so that a running build sees the old file or the new one.
  mv -f "$tmp/package/$library" "vendor/duckdb/$library"
  printf '%s\n' "$version" >vendor/duckdb/version
  rm -rf "$tmp"
  trap - EXIT
}

if [ -n "${DUCKDB_LIB_DIR:-}" ]; then
  say "libduckdb: DUCKDB_LIB_DIR is $DUCKDB_LIB_DIR"
elif [ -z "$package" ]; then
  say "libduckdb: no prebuilt library for $(uname -s) $(uname -m); cargo will try to download it, or build with --features bundled"
elif [ -e "vendor/duckdb/$library" ] && { [ ! -e vendor/duckdb/version ] || [ "$(cat vendor/duckdb/version)" = "$version" ]; }; then
  point_cargo_at_vendor
else
  fetch_duckdb
  point_cargo_at_vendor
  say "libduckdb: vendor/duckdb/$library"
fi

# ------------------------------------------------------------------------------------------ Python environments

# Python with its module venv, which is a package of its own in Debian.
need_venv() {
  have_venv() { python3 -c 'import ensurepip, tomllib, venv' 2>/dev/null; }
  have_venv && return
  command -v apt-get >/dev/null || die "this needs Python 3.11 or newer with its modules venv and ensurepip; install it and run this again"
  local sudo='' install
  [ "$(id -u)" = 0 ] || sudo=sudo
  say "installing Debian's python3-venv and procps"
  install="apt-get install -y -qq --no-install-recommends python3-venv procps"
  $sudo sh -c "export DEBIAN_FRONTEND=noninteractive
    $install >/dev/null 2>&1 || { apt-get update -qq && $install >/dev/null; }" || die "python3-venv could not be installed"
  have_venv || die "python3-venv was installed, but Python doesn't have venv, ensurepip and tomllib"
}

# venv FOLDER REQUIREMENTS OPTION...: makes a Python environment with these packages. The copy of the list is written last.
venv() {
  local folder=$1 list=$2
  shift 2
  cmp -s "$list" "$folder/requirements.txt" && return
  need_venv
  say "installing the packages of $list into $folder; that takes a minute or more"
  mkdir -p vendor
  python3 -m venv "$folder" || die "python3 -m venv failed"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" -r "$list" || die "pip could not install $list"
  cp "$list" "$folder/requirements.txt.part"
  mv "$folder/requirements.txt.part" "$folder/requirements.txt"
}

if [ "${1:-}" = --python ]; then
  need_venv
  exit 0
fi
if [ "${1:-}" = --lint ]; then
  venv vendor/lint packaging/requirements-lint.txt
  exit 0
fi
if [ "${1:-}" = --cluster ]; then
  venv vendor/cluster tests/it/cluster/requirements.txt
  exit 0
fi
if [ "${1:-}" = --spark ]; then
  command -v java >/dev/null || die "Spark needs Java 11 or 17 in PATH; install it and run this again"
  venv vendor/spark tests/it/cluster/requirements-spark.txt --no-deps
  exit 0
fi

# ---------------------------------------------------------------------------------------------------- a browser

if [ "${1:-}" = --browser ]; then
  have_browser() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }
  have_browser && exit 0
  command -v apt-get >/dev/null || die "the tests of the page need chromium and chromedriver in PATH; install them and run this again"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  say "installing Debian's chromium and chromium-driver"
  install="apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core"
  $sudo sh -c "export DEBIAN_FRONTEND=noninteractive
    $install >/dev/null 2>&1 || { apt-get update -qq && $install >/dev/null; }" || die "chromium could not be installed"
  have_browser || die "chromium and chromium-driver were installed, but their programs were not found"
  exit 0
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

# Debian installs it in a folder that may not be in PATH.
have_pgbouncer() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || [ -x /usr/local/bin/pgbouncer ]; }

# The tests kill servers and look for remaining processes.
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
  # No cluster and no service: the tests start their own. Debian's pgbouncer starts unless policy-rc.d forbids it; one that
  # was installed before isn't changed.
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
    # And not at the next boot.
    if [ -n "$new_pgbouncer" ]; then
      systemctl disable pgbouncer >/dev/null 2>&1 || update-rc.d pgbouncer disable >/dev/null 2>&1 || true
    fi' ||
    die "Debian's postgresql and pgbouncer could not be installed"
  have_all || die "postgresql and pgbouncer were installed, but their programs were not found"
else
  die "the tests need Postgres and pgbouncer; install them (macOS: brew install postgresql pgbouncer) and run this again"
fi
