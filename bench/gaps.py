"""Planning, gaps and coverage for many tickers. See gaps.sh."""

import datetime
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request

program, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
store = os.path.join(work, "gaps-store")


def run(*line, env=None, repeats=3):
    """The shortest of some runs: seconds, processor seconds, MiB at most; what it printed last is in gaps.out.

    Nothing large is read here before the last measurement: the system counts what this process holds as the peak of its
    next child."""
    best = None
    for _ in range(repeats):
        out = os.path.join(work, "gaps.out")
        began = time.monotonic()
        with open(out, "wb") as to:
            child = subprocess.Popen([program, *line], stdout=to, env=env, cwd=work)
            _, status, usage = os.wait4(child.pid, 0)
        took = time.monotonic() - began
        if status not in (0, 3 << 8):
            sys.exit(f"{line}: {status}")
        this = (took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        best = min(best or this, this, key=lambda one: one[0])
    return best


def show(what, measured, limit):
    took, processor, memory = measured
    print(f"{what:44} {took:6.2f} s  {processor:6.2f} s processor  {memory:6.0f} MiB   {limit}", flush=True)


def printed():
    with open(os.path.join(work, "gaps.out"), "rb") as written:
        return written.read()


def tickers(count, letter):
    path = os.path.join(work, f"gaps-{letter}.json")
    names = [f"{letter}{number:04}" for number in range(count)]
    with open(path, "w") as out:
        json.dump(names, out)
    return path, names


def fetch_series():
    """500 tickers, five years of 60-minute bars; each lacks six days and eight half sessions."""
    path, names = tickers(500, "G")
    shutil.rmtree(store, ignore_errors=True)
    simulator = subprocess.Popen([program, "simulate"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    url = simulator.stdout.readline().strip()
    random.seed(7)
    day = datetime.date(2020, 1, 2)
    days = [day + datetime.timedelta(more) for more in range(1825)]
    days = [day for day in days if day.weekday() < 5]
    for name in names:
        holes = {"symbol": name, "dates": [str(day) for day in random.sample(days, 6)], "minutes": []}
        for short in random.sample(days, 8):
            holes["minutes"] += [f"{short}T{hour}:{minute:02}:00Z" for hour in (15, 16, 17) for minute in range(60)]
        change = urllib.request.Request(
            url.replace("/stable", "/simulator"),
            data=json.dumps({"holes": holes}).encode(),
            headers={"content-type": "application/json"},
        )
        urllib.request.urlopen(change).read()
    env = {**os.environ, "FMP_API_KEY": "bench", "FMP_BASE_URL": url}
    run(
        "--store", store, "concurrent", "--start", "2020-01-02", "--end", "2024-12-31", "--interval", "60", "-q",
        "--rate", "1000000", "--threads", "8", "--tickers-file", path, env=env, repeats=1,
    )
    simulator.terminate()
    simulator.wait()
    return path


def main():
    many, _ = tickers(5000, "T")
    plan = ["specific", "--plan", "--start", "2015-01-02", "--end", "2024-12-31", "--tickers-file", many]
    show("plan, 5,000 tickers x 10 years", run("--store", store + "-none", *plan), "goal 1 s, 200 MiB")
    few = fetch_series()
    resume = [
        "--store", store, "specific", "--plan", "--resume", "--start", "2020-01-02", "--end", "2024-12-31",
        "--interval", "60", "--tickers-file", few,
    ]
    show("plan --resume over 500 x 5 years of coverage", run(*resume), "")
    gaps = ["--store", store, "gaps", "--format", "json"]
    show("gaps, 500 series x 5 years, all bars hot", run(*gaps), "goal 2 s")
    hot = hashlib.sha256(printed()).digest()
    run("--store", store, "seal", repeats=1)
    show("gaps, the same, all bars sealed", run(*gaps), "goal 2 s")
    sealed = printed()
    assert hot == hashlib.sha256(sealed).digest(), "hot and sealed bars have different gaps"
    listed = json.loads(sealed)["gaps"]
    run("--store", store, "query", "--format", "csv", "select * from coverage", repeats=1)
    table = printed()
    rows = table.count(b"\n") - 1
    sql = "select count(distinct block_id) from pragma_storage_info('staging.main.coverage') where block_id >= 0"
    run("--store", store, "query", "--format", "csv", sql, repeats=1)
    blocks = int(printed().split()[-1])
    print(
        f"coverage of them: {rows} entries, {len(table) / 1e6:.2f} MB as text (goal 1 MB), in {blocks} blocks of 256 KiB; "
        f"{len(listed)} gaps listed"
    )


main()
