#!/usr/bin/env python3
"""Makes the sample files next to this script: invented tickers and prices, from a fixed seed.

The files are the same on each run.
"""

import datetime as dt
import pathlib
import random
from zoneinfo import ZoneInfo

HERE = pathlib.Path(__file__).parent
NEW_YORK = ZoneInfo("America/New_York")
# Three sessions of January 2025; the exchange was closed on the 9th.
SESSIONS = [dt.date(2025, 1, 7), dt.date(2025, 1, 8), dt.date(2025, 1, 10)]


def bars(rng, price, volume):
    """One-minute bars of the sessions: a random walk with a gap overnight and a volume shaped like a U."""
    for day in SESSIONS:
        price *= 1 + rng.gauss(0, 0.01)
        opening = dt.datetime.combine(day, dt.time(9, 30), NEW_YORK)
        for minute in range(390):
            o = round(price, 2)
            steps = [price := price * (1 + rng.gauss(0, 0.0004)) for _ in range(4)]
            prices = [o] + [round(step, 2) for step in steps]
            shape = 0.5 + 1.5 * (abs(minute - 195) / 195) ** 2
            v = int(volume * shape * rng.uniform(0.5, 1.5))
            yield opening + dt.timedelta(minutes=minute), o, max(prices), min(prices), prices[-1], v


def main():
    rng = random.Random(20250107)

    # FirstRate's layout: no header, the exchange's local time.
    with open(HERE / "ACME_full_1min.txt", "w", newline="\n") as out:
        for time, o, h, l, c, v in bars(rng, 84.0, 9_000):
            out.write(f"{time:%Y-%m-%d %H:%M:%S},{o},{h},{l},{c},{v}\n")

    # The layout of pandas and Alpaca: a header, a ticker column, UTC with an offset.
    with open(HERE / "bars.csv", "w", newline="\n") as out:
        out.write("symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n")
        for ticker, price, volume in [("GLOBEX", 231.0, 4_000), ("INITECH", 17.5, 21_000)]:
            for time, o, h, l, c, v in bars(rng, price, volume):
                utc = time.astimezone(dt.timezone.utc).isoformat(sep=" ")
                vwap = round((h + l + c) / 3, 4)
                out.write(f"{ticker},{utc},{o},{h},{l},{c},{v},{max(1, v // 70)},{vwap}\n")


if __name__ == "__main__":
    main()
