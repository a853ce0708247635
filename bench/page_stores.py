"""Makes the stores that page.py measures, each once. Called by page.sh.

It is a program of its own, because the memory of a process counts for the processes that it starts."""

import datetime
import os
import shutil
import subprocess
import sys
import time

import duckdb

program, work, part = sys.argv[1], sys.argv[2], int(sys.argv[3])


def sessions(first, last):
    """The sessions of NASDAQ as rows of SQL: date, minutes of the open and of the close after midnight."""
    minutes = lambda text: int(text[:2]) * 60 + int(text[3:])
    closed, other = set(), {}
    for line in open("data/calendars/XNYS.csv"):
        kind, *fields = line.strip().split(",")
        if kind == "closed":
            closed.add(fields[0])
        elif kind == "session":
            other[fields[0]] = minutes(fields[1]), minutes(fields[2])
    days = (datetime.date(first, 1, 1) + datetime.timedelta(at) for at in range(366 * (last - first + 1)))
    days = [day for day in days if day.year <= last and day.weekday() < 5 and str(day) not in closed]
    return ", ".join("(DATE '{}', {}, {})".format(day, *other.get(str(day), (570, 960))) for day in days)


def inject(folder, years, tickers, minute, bars, interval):
    """Adds the bars `b` of each session, from 0 to `bars`: each is `minute` after the open."""
    file = f"{work}/page.parquet"
    for first, last in years:
        # One in 50 sessions of a ticker is missing, one in 50 is short.
        duckdb.sql(f"""COPY (
            SELECT 'T' || lpad(t::VARCHAR, 5, '0') AS ticker,
                   timezone('America/New_York', d + INTERVAL (open + {minute}) MINUTE) AS timestamp,
                   100 + hash(t, d, b) % 100 / 100 AS open, 102.0 AS high, 99.0 AS low, 101.0 AS close,
                   1000 + hash(t, b) % 1000 AS volume
            FROM range({tickers[0]}, {tickers[1]}) tickers(t), (VALUES {sessions(first, last)}) days(d, open, close),
                 range({bars}) bars(b)
            WHERE open + {minute} < close AND hash(t, d) % 50 <> 0 AND (hash(t, d) % 50 <> 1 OR b < {bars} / 2)
            ORDER BY t, d, b) TO '{file}'""")
        subprocess.run(
            [program, "inject-csv", file, "--store", folder, "--interval", str(interval), "--exchange", "NASDAQ",
             "--seal", "never", "--quiet"], check=True)
    os.remove(file)


def store(name, make, is_sealed):
    folder = f"{work}/page-{name}"
    if os.path.isdir(folder):
        return
    part_folder = f"{folder}.part"
    shutil.rmtree(part_folder, ignore_errors=True)
    began = time.perf_counter()
    make(part_folder)
    if is_sealed:
        subprocess.run([program, "seal", "--store", part_folder, "--quiet"], check=True)
    print(f"{folder} made in {time.perf_counter() - began:.0f} s", flush=True)
    os.rename(part_folder, folder)


def five_years(folder):
    """All series with 13 bars a session, and one of them with one-minute bars too, for its chart."""
    years = [(year, year) for year in range(2021, 2026)]
    inject(folder, years, (0, 500 // part), "b * 30", 13, 30)
    inject(folder, years, (7, 8), "b", 390, 1)


def twenty_years(folder):
    """Two bars a session: coverage is made from the counts of sessions."""
    inject(folder, [(year, year) for year in range(2006, 2026)], (0, 10000 // part), "b * (3 + hash(t, d) % 17)", 2, 1)


store(f"5-years-{part}", five_years, True)
store(f"20-years-{part}", twenty_years, False)
