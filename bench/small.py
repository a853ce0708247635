"""Times inject-csv of small files and updates, and prints the table. Called by small.sh."""

import os
import shutil
import sys

from inject import COLUMNS, PEER, measured


def restated(day, folder):
    """The same day with each volume one higher."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(day):
        with open(f"{day}/{name}") as before, open(f"{folder}/{name}", "w") as after:
            after.write(next(before))
            for row in before:
                ticker, volume, rest = row.split(",", 2)
                after.write(f"{ticker},{int(volume) + 1},{rest}")


def main():
    program, work, files, day = sys.argv[1:]
    store, database, changed = f"{work}/store", f"{work}/peer.duckdb", f"{day}-restated"
    found = os.path.abspath("vendor/duckdb")
    env = {"LD_LIBRARY_PATH": found} if os.path.isdir(found) else {}
    if not os.path.isdir(changed):
        restated(day, changed)
    folders = os.listdir(files)
    count = sum(len(os.listdir(f"{files}/{folder}")) for folder in folders)

    def ours(folder, *flags, fresh=False):
        if fresh:
            shutil.rmtree(store, ignore_errors=True)
        return measured([program, "inject-csv", "--csv-dir", folder, "--store", store, *flags], **env)

    def peer(source):
        for name in (database, database + ".wal"):
            if os.path.exists(name):
                os.remove(name)
        load = f"CREATE TABLE bars AS SELECT * FROM {source}"
        return measured([sys.executable, "-c", PEER, database, load, "CHECKPOINT"])

    def line(what, one):
        print(f"{what:<48} {one['seconds']:>8.2f} {one['cpu']:>8.2f} {one['mib']:>8.0f}", flush=True)

    print(f"{count:,} files in {len(folders)} folders")
    print(f"{'':<48} {'seconds':>8} {'cpu s':>8} {'MiB':>8}")
    ours(files, "--dry-run")
    line("small files: inject-csv", ours(files, fresh=True))
    line("again, --on-conflict ignore", ours(files, "--on-conflict", "ignore"))
    line("DuckDB, the columns given", peer(f"read_csv('{files}/*/*.csv', header = true, columns = {COLUMNS['files']})"))
    line("a day: first load", ours(day, fresh=True))
    line("a day: update that restates every row", ours(changed, "--on-conflict", "update"))


main()
