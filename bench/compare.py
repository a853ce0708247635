"""Counts the requests that runs add to compare the price basis, over a year, by habit and interval."""
import datetime as dt
import json
import os
import shutil
import subprocess
import sys

program, work = os.path.abspath(sys.argv[1]), sys.argv[2]
TICKERS = ["AAPL", "MSFT", "NVDA"]
YEAR = ("2024-01-02", "2024-12-31")


def weekdays(first, last):
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    while day <= end:
        if day.weekday() < 5:
            yield day.isoformat()
        day += dt.timedelta(days=1)


class Store:
    def __init__(self, interval):
        self.interval = interval
        self.folder = os.path.join(work, "compare")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.tickers = TICKERS
        self.requests = self.comparisons = self.runs = 0

    def run(self, options):
        """Plans the run, then runs it; returns its exit code."""
        line = [program, "concurrent", "--store", self.folder, "--rate", "60000", "--tickers", *self.tickers,
                "--interval", str(self.interval), *options.split()]
        planned = [option for option in line if not option.startswith("--max-requests")]
        plan = subprocess.run([*planned, "--plan"], capture_output=True, text=True, check=True).stdout
        run = subprocess.run([*line, "--summary-json", "-q"], capture_output=True, text=True)
        if run.returncode not in (0, 5):
            sys.exit(run.stderr)
        sent = json.loads(run.stdout)["totals"]["requests"]
        self.requests += sent
        # A run that its quota ends may not come to all comparisons of its plan.
        self.comparisons += min(plan.count("to compare"), sent)
        self.runs += 1
        return run.returncode


def in_one_run(store):
    store.run(f"--start {YEAR[0]} --end {YEAR[1]}")


def by_quota(store):
    store.tickers = [f"T{n}" for n in range(30)]
    while store.run(f"--start {YEAR[0]} --end {YEAR[1]} --resume --max-requests=250") == 5:
        pass


def by_month(store):
    for month in range(1, 13):
        first = dt.date(2024, month, 1)
        last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        store.run(f"--start {first} --end {last}")


def daily(options):
    def habit(store):
        store.run("--start 2023-12-26 --end 2023-12-29")
        store.requests = store.comparisons = store.runs = 0
        for day in weekdays(*YEAR):
            store.run(f"--since-last --end {day} {options}")
    return habit


def weekly(store):
    store.run("--start 2023-12-26 --end 2023-12-29")
    store.requests = store.comparisons = store.runs = 0
    for day in list(weekdays(*YEAR))[4::5]:
        store.run(f"--since-last --end {day}")


HABITS = [
    ("one run", in_one_run),
    ("30 tickers, 250 requests a run", by_quota),
    ("a run a month, by dates", by_month),
    ("daily, --since-last", daily("")),
    ("daily, --since-last --overlap 0", daily("--overlap 0")),
    ("weekly, --since-last", weekly),
]

port = subprocess.Popen([program, "simulate"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
os.environ.update(FMP_API_KEY="any", FMP_BASE_URL=port.stdout.readline().strip())
try:
    print(f"{'habit, a year (of 3 tickers)':33} {'bars':>4} {'runs':>5} {'requests':>9} {'to compare':>11} {'share':>6}")
    for name, habit in HABITS:
        for interval in (1, 5):
            store = Store(interval)
            habit(store)
            share = store.comparisons / (store.requests - store.comparisons)
            print(f"{name:33} {interval:>3}m {store.runs:>5} {store.requests:>9} {store.comparisons:>11} {share:>6.1%}", flush=True)
finally:
    port.terminate()
    shutil.rmtree(os.path.join(work, "compare"), ignore_errors=True)
