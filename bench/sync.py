"""Times sync and other programs, in one run on one temporary server. See sync.sh."""

import glob
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM, WORK, STORE = sys.argv[1:4]
COLUMNS = 'ticker, "timestamp", open, high, low, close, volume, vwap, trades'
DDL = (
    'CREATE TABLE {} (ticker text NOT NULL, "timestamp" timestamptz NOT NULL, open double precision NOT NULL, '
    "high double precision NOT NULL, low double precision NOT NULL, close double precision NOT NULL, "
    'volume double precision NOT NULL, vwap double precision, trades bigint, PRIMARY KEY (ticker, "timestamp"))'
)


class Server:
    """A cluster in its own folder, run as a user who isn't root."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        self.bin = os.path.dirname(found[-1] if found else shutil.which("postgres") or "")
        self.dir = tempfile.mkdtemp(prefix="bfbench-")
        self.user = {}
        if os.getuid() == 0:
            owner = next(pwd.getpwnam(n) for n in ("postgres", "nobody") if any(n == u.pw_name for u in pwd.getpwall()))
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.data = f"{self.dir}/data"
        run = lambda *words: subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.dir, **self.user)
        run(f"{self.bin}/initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C")
        self.process = subprocess.Popen(
            [f"{self.bin}/postgres", "-D", self.data, "-k", self.dir, "-c", "listen_addresses=", "-c", "max_wal_size=8GB",
             "-c", "shared_buffers=256MB", "-c", "checkpoint_timeout=30min"],
            stdout=subprocess.DEVNULL, stderr=open(f"{self.dir}/log", "w"), cwd=self.dir, **self.user,
        )
        while subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", self.dir]).returncode:
            time.sleep(0.1)
        self.url = f"postgresql:///postgres?host={self.dir}&user=postgres"

    def sql(self, *statements):
        words = [f"{self.bin}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url]
        for statement in statements:
            words += ["-c", statement]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)


def backfill(server, *more):
    command = [PROGRAM, "-q", "--store", STORE, "sync", "--database-url", server.url, "--table", "bars", *more]
    subprocess.run(command, check=True)


def psql_copy(server, rows):
    server.sql(f"\\copy bars ({COLUMNS}) FROM '{rows}' (FORMAT binary)")


def on_conflict(server, rows):
    server.sql(
        "CREATE TEMP TABLE t (LIKE bars)",
        f"\\copy t ({COLUMNS}) FROM '{rows}' (FORMAT binary)",
        f"INSERT INTO bars ({COLUMNS}) SELECT {COLUMNS} FROM t ON CONFLICT DO NOTHING",
    )


def adbc(server, table):
    import adbc_driver_postgresql.dbapi as dbapi

    with dbapi.connect(server.url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("bars", table, mode="append")
        connection.commit()


def execute_values(server, table, share):
    """psycopg2's execute_values of a share of the rows: all of them would take minutes. The time is scaled."""
    import psycopg2
    from psycopg2.extras import execute_values as run

    part = table.slice(0, int(table.num_rows * share))
    rows = list(zip(*[column.to_pylist() for column in part.columns]))
    began = time.perf_counter()
    with psycopg2.connect(server.url) as connection, connection.cursor() as cursor:
        run(cursor, f"INSERT INTO bars ({COLUMNS}) VALUES %s ON CONFLICT DO NOTHING", rows, page_size=1000)
    connection.close()
    return (time.perf_counter() - began) / share


def main():
    server = Server()
    try:
        measure(server)
    finally:
        server.stop()


def measure(server):
    server.sql(DDL.format("whole"))
    subprocess.run([PROGRAM, "-q", "--store", STORE, "sync", "--database-url", server.url, "--table", "whole"], check=True)
    count = int(server.sql("SELECT count(*) FROM whole"))
    rows, half = f"{server.dir}/rows", f"{server.dir}/half"
    server.sql(f"\\copy (SELECT {COLUMNS} FROM whole ORDER BY ticker, \"timestamp\") TO '{rows}' (FORMAT binary)")
    # Every second day is in the table already.
    every_second = "extract(day FROM \"timestamp\")::int % 2 = 0"
    server.sql(f"\\copy (SELECT {COLUMNS} FROM whole WHERE {every_second} ORDER BY ticker, \"timestamp\") TO '{half}' (FORMAT binary)")
    table = None
    try:
        import adbc_driver_postgresql.dbapi as dbapi

        with dbapi.connect(server.url) as connection, connection.cursor() as cursor:
            cursor.execute(f'SELECT {COLUMNS} FROM whole ORDER BY ticker, "timestamp"')
            table = cursor.fetch_arrow_table()
    except ImportError:
        pass
    server.sql("DROP TABLE whole")

    def fresh():
        server.sql("DROP TABLE IF EXISTS bars, backfill_sync", DDL.format("bars"), "CHECKPOINT")

    def filled(file):
        fresh()
        psql_copy(server, file)
        server.sql("VACUUM ANALYZE bars", "CHECKPOINT")

    def timed(what):
        began = time.perf_counter()
        scaled = what()
        seconds = time.perf_counter() - began
        return scaled or seconds

    results = {}

    def record(work, name, times):
        seconds = statistics.median(times)
        results[work, name] = seconds
        print(f"{work:14} {name:34} {seconds:8.2f} s {count / seconds / 1e6:8.2f} M rows/s", flush=True)

    def bench(work, name, prepare, what, rounds=3):
        times = []
        for _ in range(rounds):
            prepare()
            times.append(timed(what))
        record(work, name, times)

    def alternate(work, prepare, programs, rounds=7):
        """All programs in each round, so that a busy machine slows all of them."""
        times = {name: [] for name in programs}
        for number in range(rounds):
            order = list(programs.items())
            for name, what in order if number % 2 == 0 else reversed(order):
                prepare()
                times[name].append(timed(what))
        for name in programs:
            record(work, name, times[name])

    print(f"{count:,} rows; medians")
    alternate("fresh", fresh, {
        "psql \\copy binary": lambda: psql_copy(server, rows),
        "backfill sync": lambda: backfill(server),
        "backfill sync --threads 1": lambda: backfill(server, "--threads", "1"),
        "backfill sync --threads 4": lambda: backfill(server, "--threads", "4"),
    })
    bench("fresh", "temporary table + ON CONFLICT", fresh, lambda: on_conflict(server, rows), 1)
    if table is not None:
        bench("fresh", "ADBC bulk ingest", fresh, lambda: adbc(server, table), 1)
        bench("fresh", "psycopg2 execute_values (scaled)", fresh, lambda: execute_values(server, table, 0.05), 1)
    whole = lambda: filled(rows)
    bench("all identical", "temporary table + ON CONFLICT", whole, lambda: on_conflict(server, rows), 1)
    whole()
    bench("all identical", "backfill sync --full", lambda: None, lambda: backfill(server, "--full"))
    bench("all identical", "backfill sync --full --threads 1", lambda: None, lambda: backfill(server, "--full", "--threads", "1"))
    bench("half new", "temporary table + ON CONFLICT", lambda: filled(half), lambda: on_conflict(server, rows), 1)
    bench("half new", "backfill sync", lambda: filled(half), lambda: backfill(server), 2)
    whole()
    backfill(server)
    bench("nothing new", "backfill sync", lambda: None, lambda: backfill(server))

    ratio = lambda work, other, name: f"{results[work, other] / results[work, name]:.2f}"
    psql, temp = "psql \\copy binary", "temporary table + ON CONFLICT"
    print(f"fresh: {ratio('fresh', psql, 'backfill sync')} of psql's speed (goal 0.95); "
          f"{ratio('fresh', psql, 'backfill sync --threads 1')} over one connection, "
          f"{ratio('fresh', psql, 'backfill sync --threads 4')} over four")
    print(f"all identical: {ratio('all identical', temp, 'backfill sync --full')} times ON CONFLICT's speed (goal 2)")
    print(f"half new: {ratio('half new', temp, 'backfill sync')} times ON CONFLICT's speed")


main()
