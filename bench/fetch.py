"""Runs `backfill concurrent` against `backfill simulate` and prints the figures. Called by fetch.sh."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

PROGRAM, WORK, FORM = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]


def simulator(*options):
    server = subprocess.Popen([PROGRAM, "simulate", *options], stdout=subprocess.PIPE, text=True)
    return server, server.stdout.readline().strip()


def run(title, options, server_options=(), threads=8, rate=None, dry=False, provider="fmp"):
    """One run; its numbers, and those that the server counted."""
    server, url = simulator("--provider", provider, *server_options)
    folder = tempfile.mkdtemp(dir=WORK)
    words = [PROGRAM, "concurrent", "--threads", str(threads), "--rate", str(rate or 10_000_000), "-q", "--summary-json", "--provider", provider, *options]
    if dry:
        words.append("--dry-run")
    keys = ("FMP_API_KEY", "MASSIVE_API_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    environment = dict(os.environ, **dict.fromkeys(keys, "bench"), **{f"{provider.upper()}_BASE_URL": url})
    begun = time.monotonic()
    child = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    summary = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    counters = json.load(urllib.request.urlopen("/".join(url.split("/")[:3]) + "/simulator"))
    counters = counters.get("counters", counters)
    server.terminate()
    server.wait()
    shutil.rmtree(folder)
    totals = summary["totals"]
    assert os.waitstatus_to_exitcode(status) == 0, summary
    return {
        "title": title,
        "requests": totals["requests"],
        "bars": totals["prepared"],
        "seconds": seconds,
        "fetching": summary["elapsed_seconds"],
        "limited": counters["by_status"].get("429", 0),
        "processor": (usage.ru_utime + usage.ru_stime) * 1e6 / max(totals["prepared"], 1),
        "memory": usage.ru_maxrss / 1024,
        "peak": counters.get("per_minute_peak", 0),
    }


def show(result, ideal, what):
    print(
        f"{result['title']:<44} {result['requests']:>7} {ideal:>8.2f} {result['seconds']:>8.2f} {ideal / result['seconds']:>6.3f} "
        f"{result['limited']:>5} {result['processor']:>8.2f} {result['memory']:>7.0f}  {what}",
        flush=True,
    )


def readers():
    """Processor time per bar of each provider's reader, with all that a dry run does."""
    month = ["--start", "2025-01-01", "--end", "2025-01-31", "--tickers"]
    coins = "BTC ETH SOL XRP ADA DOGE LTC BNB DOT AVAX LINK TRX MATIC SHIB UNI ATOM".split()
    pairs = [coin + quote for coin in coins for quote in ("USDT", "USDC")]
    print(f"{'':<12} {'requests':>8} {'bars':>9} {'s':>6} {'µs/bar':>7}  load; goal µs/bar under 1")
    for provider in ("fmp", "massive", "alpaca", "binance"):
        tickers = pairs if provider == "binance" else [f"T{n:03}" for n in range(200)]
        for _ in range(3):
            result = run(provider, [*month, *tickers], dry=True, provider=provider)
            print(
                f"{provider:<12} {result['requests']:>8} {result['bars']:>9} {result['seconds']:>6.2f} {result['processor']:>7.2f}  "
                f"{os.getloadavg()[0]:.1f}",
                flush=True,
            )


def massive():
    """Time and memory of one and of four months, with and without the seal at the end."""
    tickers = [f"T{n:03}" for n in range(200)]
    print(f"{'':<22} {'requests':>8} {'bars':>9} {'s':>6} {'µs/bar':>7} {'MiB':>5}")
    for end in ("2025-01-31", "2025-04-30"):
        for seal in ("never", "auto"):
            title = f"{end[:7]}, --seal {seal}"
            options = ["--seal", seal, "--start", "2025-01-01", "--end", end, "--tickers", *tickers]
            result = run(title, options, provider="massive")
            print(
                f"{title:<22} {result['requests']:>8} {result['bars']:>9} {result['seconds']:>6.2f} {result['processor']:>7.2f} {result['memory']:>5.0f}",
                flush=True,
            )


def main():
    if FORM == "readers":
        return readers()
    if FORM == "massive":
        return massive()
    tickers = [f"T{n:03}" for n in range(200)]
    month = ["--start", "2025-01-01", "--end", "2025-01-31", "--tickers"]
    print(
        f"{'':<44} {'requests':>7} {'ideal s':>8} {'real s':>8} {'ratio':>6} {'429s':>5} {'µs/bar':>8} {'MiB':>7}  what is ideal"
    )
    latency = ("--latency-ms", "50")
    for dry in (True, False):
        name = "50 ms, 8 threads, " + ("dry" if dry else "staged")
        result = run(name, [*month, *tickers], latency, dry=dry)
        show(result, result["requests"] * 0.05 / 8, "requests x latency / threads; goal 0.97")
    result = run("50 ms, 8 threads, one ticker, staged", ["--start", "2024-01-01", "--end", "2025-12-31", "--tickers", "ONE"], latency)
    show(result, result["requests"] * 0.05 / 8, "the same")
    rate = 750
    result = run(f"--rate {rate}, server counts any 60 s", [*month, *tickers[:90]], ("--tier", "premium"), rate=rate, dry=True)
    show(result, (result["requests"] - 1) * 60 / rate, f"requests at the rate; goal 0.98 and no 429; most in 60 s: {result['peak']}")
    rate = 3000
    result = run(f"--rate {rate}, server counts any 60 s", [*month, *[f"U{n}" for n in range(350)], "--interval", "5"], ("--tier", "ultimate"), threads=16, rate=rate, dry=True)
    show(result, (result["requests"] - 1) * 60 / rate, f"the same; most in 60 s: {result['peak']}")
    for dry in (True, False):
        name = "no latency, " + ("dry" if dry else "staged")
        result = run(name, [*month, *tickers], dry=dry)
        show(result, result["bars"] * 1.5e-6, "1.5 µs a bar on one core; goal µs/bar under 1.5")
    if FORM == "long":
        year = ["--start", "2025-01-01", "--end", "2025-12-31", "--tickers", *[f"Y{n:03}" for n in range(1000)]]
        result = run("1,000 tickers x one year, staged", year)
        show(result, result["bars"] * 5e-6, "goal: under 300 MiB")


main()
