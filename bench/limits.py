"""Measures the peak memory and time of each command. Called by limits.sh."""

import os
import shutil
import subprocess
import sys
import time

PROGRAM, WORK, PARTS = sys.argv[1], sys.argv[2], int(sys.argv[3])
TICKERS, BARS, DAYS = 200, 200_000, 4
STORE = f"{WORK}/limits-store"


def measured(name, *words, store=STORE):
    """Runs the program and prints its time and peak memory."""
    began = time.monotonic()
    child = subprocess.Popen([PROGRAM, "--store", store, *words, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"error: {' '.join(words)} failed:\n{said[-2000:]}")
    mib = usage.ru_maxrss / 1024
    print(f"{name:<48}{time.monotonic() - began:>9.1f}{usage.ru_utime + usage.ru_stime:>9.1f}{mib:>7.0f}", flush=True)
    return mib


def main():
    for left in ("limits-store", "limits-copy", "limits-out", "limits-files", "limits.tar"):
        shutil.rmtree(f"{WORK}/{left}", ignore_errors=True)
    print(f"{PARTS * TICKERS * BARS:,} bars of {PARTS * TICKERS} tickers")
    print(f"{'':<48}{'s':>9}{'cpu s':>9}{'MiB':>7}   goal: under 1024 MiB")
    peaks = []
    for part in range(PARTS):
        files = f"{WORK}/limits-files"
        subprocess.run([f"{WORK}/make_bars", "files", files, str(TICKERS), str(BARS), str(part * TICKERS)], check=True)
        peaks.append(measured(f"inject-csv, part {part + 1} of {PARTS}", "inject-csv", "--csv-dir", files))
        shutil.rmtree(files)
    for day in range(DAYS):
        subprocess.run([f"{WORK}/make_bars", "day", f"{WORK}/limits-day.csv", "10000", str(day)], check=True)
        peaks.append(measured(f"inject-csv, day {day + 1} of 10,000 tickers", "inject-csv", f"{WORK}/limits-day.csv", "--interval", "1"))
        os.remove(f"{WORK}/limits-day.csv")
    peaks.append(measured("status", "status"))
    peaks.append(measured("seal of the days", "seal"))
    peaks.append(measured("verify", "verify"))
    peaks.append(measured("export, Parquet by ticker", "export", "--to", f"{WORK}/limits-out", "--format", "parquet", "--partition-by", "ticker"))
    shutil.rmtree(f"{WORK}/limits-out")
    tar = f"{WORK}/limits.tar"
    peaks.append(measured("bundle create", "bundle", "create", tar))
    peaks.append(measured("bundle verify", "bundle", "verify", tar))
    peaks.append(measured("bundle apply, into an empty store", "bundle", "apply", tar, store=f"{WORK}/limits-copy"))
    os.remove(tar)
    shutil.rmtree(f"{WORK}/limits-copy")
    if "DATABASE_URL" in os.environ:
        tickers = ",".join(f"SYM{n:03}" for n in range(50))
        peaks.append(measured("sync of 50 tickers", "sync", "--create-table", "--tickers", tickers))
    else:
        print("sync is left out: DATABASE_URL names no database to fill")
    shutil.rmtree(STORE)
    print(f"at most: {max(peaks):.0f} MiB")


main()
