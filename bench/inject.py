"""Times inject-csv and DuckDB over the same files, and prints the table. Called by inject.sh."""

import os
import resource
import shutil
import subprocess
import sys
import time

CORES = 2
COLUMNS = {
    "files": "{'ticker': 'VARCHAR', 'timestamp': 'TIMESTAMP', 'open': 'DOUBLE', 'high': 'DOUBLE',"
    " 'low': 'DOUBLE', 'close': 'DOUBLE', 'volume': 'DOUBLE'}",
    "day": "{'ticker': 'VARCHAR', 'volume': 'DOUBLE', 'open': 'DOUBLE', 'close': 'DOUBLE', 'high': 'DOUBLE',"
    " 'low': 'DOUBLE', 'window_start': 'BIGINT', 'transactions': 'BIGINT'}",
}
PEER = """
import duckdb, sys
db = duckdb.connect(sys.argv[1])
db.execute("SET threads = %d")
for statement in sys.argv[2:]:
    db.execute(statement)
db.close()
""" % CORES


def measured(command, **env):
    """Seconds, peak MiB, and the processor seconds of a command kept to two cores."""
    began = time.monotonic()
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES]),
    )
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    if status != 0:
        sys.exit(f"error: {' '.join(command[:4])} failed:\n{said[-2000:]}")
    return {
        "seconds": seconds,
        "mib": usage.ru_maxrss / 1024,
        "cpu": usage.ru_utime + usage.ru_stime,
        "said": said.strip().splitlines()[-1] if said.strip() else "",
    }


def warm(folder):
    """Both sides find the files in the page cache."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            while file.read(1 << 20):
                pass


def size(folder):
    return sum(
        os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names
    )


def rows(folder):
    return sum(sum(1 for _ in open(os.path.join(folder, name), "rb")) - 1 for name in os.listdir(folder))


def main():
    program, work, files, day = sys.argv[1:]
    store, database = f"{work}/store", f"{work}/peer.duckdb"
    found = os.path.abspath("vendor/duckdb")
    env = {"LD_LIBRARY_PATH": found} if os.path.isdir(found) else {}

    def ours(folder, *flags, fresh=False):
        if fresh:
            shutil.rmtree(store, ignore_errors=True)
        return measured([program, "inject-csv", "--csv-dir", folder, "--store", store, *flags], **env)

    def peer(*statements, fresh=False):
        if fresh:
            for name in (database, database + ".wal"):
                if os.path.exists(name):
                    os.remove(name)
        return measured([sys.executable, "-c", PEER, database, *statements])

    def line(what, count, mine, theirs=None, limit=None):
        rate = count / mine["seconds"] / 1e6
        ratio = f"{theirs['seconds'] / mine['seconds']:.2f}" if theirs else "-"
        other = f"{theirs['seconds']:.2f}" if theirs else "-"
        other_cpu = f"{theirs['cpu'] * 1e6 / count:.3f}" if theirs else "-"
        other_mib = f"{theirs['mib']:.0f}" if theirs else "-"
        print(
            f"{what:<42} {mine['seconds']:>8.2f} {other:>8} {ratio:>6} {rate:>8.2f} {mine['cpu'] * 1e6 / count:>8.3f}"
            f" {other_cpu:>8} {mine['mib']:>7.0f} {other_mib:>7}  {limit or ''}",
            flush=True,
        )

    count, day_count = rows(files), rows(day)
    warm(files)
    warm(day)
    print(f"{count:,} bars in {len(os.listdir(files))} files of {size(files) / 1e6:.0f} MB; a day of {day_count:,} bars")
    print(
        f"{'':<42} {'here s':>8} {'DuckDB s':>8} {'ratio':>6} {'M rows/s':>8} {'cpu us':>8}"
        f" {'DuckDB':>8} {'MiB':>7} {'DuckDB':>7}  goal"
    )
    read = f"read_csv('{files}/*.csv', header = true, columns = {COLUMNS['files']})"
    bare = peer(f"CREATE TABLE bars AS SELECT * FROM {read}", "CHECKPOINT", fresh=True)
    first = ours(files, fresh=True)
    line("first time / CREATE TABLE AS, no key", count, first, bare, "ratio >= 1, MiB < 1024")
    lake = size(f"{store}/lake")
    keyed_count = min(count, 4_000_000)
    again = ours(files, "--on-conflict", "ignore")
    peer("CREATE TABLE keyed (ticker VARCHAR, timestamp TIMESTAMP, open DOUBLE, high DOUBLE, low DOUBLE,"
         " close DOUBLE, volume DOUBLE, PRIMARY KEY (ticker, timestamp))",
         f"INSERT INTO keyed SELECT * FROM bars LIMIT {keyed_count}")
    conflict = peer(f"INSERT INTO keyed SELECT * FROM bars LIMIT {keyed_count} ON CONFLICT DO NOTHING")
    conflict["seconds"] *= count / keyed_count
    conflict["cpu"] *= count / keyed_count
    line("again, ignore / ON CONFLICT DO NOTHING", count, again, conflict, "faster than the first time")
    flat = f"read_csv('{day}/*.csv', header = true, columns = {COLUMNS['day']})"
    day_bare = peer(f"CREATE TABLE day AS SELECT * FROM {flat}", "CHECKPOINT", fresh=True)
    day_first = ours(day, fresh=True)
    line(f"a day's flat file / CREATE TABLE AS", day_count, day_first, day_bare, "the rate of the first line")
    dry = ours(files, "--dry-run")
    line("dry run: reading and parsing alone", count, dry, None, "0.2 us of a core a row")
    print(f"lake: {lake / count:.2f} bytes a bar (goal: under 10)")
    print(f"again / first: {again['seconds'] / first['seconds']:.2f} (goal: under 1)")
    if conflict["seconds"] and keyed_count < count:
        print(f"DuckDB's conflicts were measured over {keyed_count:,} bars and scaled up")


if __name__ == "__main__":
    main()
