"""Times export and status, and DuckDB's COPY of the same rows, and prints the table. Called by export.sh."""

import json
import os
import shutil
import subprocess
import sys
import time

CORES = 2
ROUNDS = 3
BARS = "ticker, timestamp, open, high, low, close, volume, vwap, trades"
# DuckDB times only its COPY, without its start and the opening of its database.
PEER = """
import duckdb, json, resource, sys, time
db = duckdb.connect(sys.argv[1], read_only=True)
db.execute("SET threads = %d; SET enable_progress_bar = false")
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, began = cpu(), time.monotonic()
db.execute(sys.argv[2])
print(json.dumps({"seconds": time.monotonic() - began, "cpu": cpu() - before,
                  "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
""" % CORES


def measured(command, env=None):
    """Seconds, peak MiB, processor seconds and output of a command kept to two cores."""
    began = time.monotonic()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES]),
    )
    out = child.stdout.read()
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"error: {' '.join(command[:4])} failed:\n{said.decode()[-2000:]}")
    return {
        "seconds": time.monotonic() - began,
        "mib": usage.ru_maxrss / 1024,
        "cpu": usage.ru_utime + usage.ru_stime,
        "out": out,
    }


def main():
    program, work, files = sys.argv[1:]
    store, database, outs = f"{work}/export-store", f"{work}/export-peer.duckdb", f"{work}/export-out"
    found = os.path.abspath("vendor/duckdb")
    env = {"LD_LIBRARY_PATH": found} if os.path.isdir(found) else {}

    def ours(*arguments):
        return measured([program, "--store", store, *arguments], env)

    def peer(statement):
        done = measured([sys.executable, "-c", PEER, database, statement])
        return json.loads(done["out"].splitlines()[-1])

    def best(run):
        """The fastest of some rounds, with warm caches on both sides."""
        return min((run() for _ in range(ROUNDS)), key=lambda one: one["seconds"])

    shutil.rmtree(outs, ignore_errors=True)
    os.makedirs(outs)
    # Always made again, so that both sides have the same rows.
    shutil.rmtree(store, ignore_errors=True)
    ours("inject-csv", "--csv-dir", files)
    ours("seal")
    if os.path.exists(database):
        os.remove(database)
    lake = f"read_parquet('{store}/lake/*/*/*/bars.parquet', hive_partitioning = true)"
    measured([sys.executable, "-c",
              "import duckdb, sys; db = duckdb.connect(sys.argv[1]); db.execute(sys.argv[2]); db.close()",
              database, f"CREATE TABLE bars AS SELECT {BARS} FROM {lake} ORDER BY ticker, timestamp"])
    count = json.loads(ours("status", "--format", "json")["out"])["totals"]["rows"]
    print(f"{count:,} bars, {CORES} cores, the best of {ROUNDS}")
    print(f"{'':<34} {'here s':>8} {'DuckDB s':>8} {'ratio':>6} {'cpu us':>7} {'DuckDB':>7}"
          f" {'MiB':>6} {'DuckDB':>6} {'MB':>6} {'DuckDB':>6}  goal")

    def line(what, arguments, ending, statement, goal=""):
        mine_path, their_path = f"{outs}/here{ending}", f"{outs}/duckdb{ending}"
        mine = best(lambda: ours(*arguments, "--to", mine_path))
        theirs = best(lambda: peer(statement.format(path=their_path)))
        size = lambda path: os.path.getsize(path) / 1e6
        print(
            f"{what:<34} {mine['seconds']:>8.2f} {theirs['seconds']:>8.2f} {theirs['seconds'] / mine['seconds']:>6.2f}"
            f" {mine['cpu'] * 1e6 / count:>7.3f} {theirs['cpu'] * 1e6 / count:>7.3f}"
            f" {mine['mib']:>6.0f} {theirs['mib']:>6.0f} {size(mine_path):>6.0f} {size(their_path):>6.0f}  {goal}",
            flush=True,
        )

    copy = "COPY ({rows}) TO '{{path}}' ({options})"
    zstd = "FORMAT parquet, COMPRESSION zstd"
    line("Parquet / COPY from a table", ["export"], ".parquet",
         copy.format(rows="FROM bars", options=zstd), "ratio >= 0.8")
    line("Parquet / COPY from the lake", ["export"], "-lake.parquet",
         copy.format(rows=f"SELECT {BARS} FROM {lake}", options=zstd))
    line("CSV / COPY from a table", ["export"], ".csv",
         copy.format(rows="SELECT * EXCLUDE (vwap, trades) FROM bars", options="FORMAT csv, HEADER"))
    status = best(lambda: ours("status"))
    print(f"status: {status['seconds']:.3f} s; --version: {best(lambda: ours('--version'))['seconds']:.3f} s (goal: under 0.06)")


main()
