"""Times the page. Called by page.sh."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

program, work, part = sys.argv[1], sys.argv[2], int(sys.argv[3])


def served(folder):
    process = subprocess.Popen([program, "serve", "--port", "0", "--store", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, process.stdout.readline().strip()


def views(folder, ticker, interval):
    """Milliseconds of each document, the first time and the median of five more, and the server's memory."""
    process, url = served(folder)
    base = url.split("/?")[0]
    cookie = urllib.request.urlopen(url).headers["set-cookie"].split(";")[0]
    rows = []
    for name in ["series", "coverage?first=0&count=50", "coverage?first=250&count=50",
                 f"bars?ticker={ticker}&interval={interval}",
                 f"bars?ticker={ticker}&interval={interval}&from=2021-01-01&to=2025-12-31",
                 "gaps", "conflicts", "runs", "targets", "progress"]:
        times, size = [], 0
        for _ in range(6):
            request = urllib.request.Request(f"{base}/api/{name}", headers={"cookie": cookie})
            began = time.perf_counter()
            size = len(urllib.request.urlopen(request).read())
            times.append(time.perf_counter() - began)
        rows.append((name, times[0] * 1000, statistics.median(times[1:]) * 1000, size))
    process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    return rows, usage.ru_maxrss / 1024


def call(port, method, path, body=None):
    data = None if method != "POST" else json.dumps(body or {}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, method=method)
    return json.loads(urllib.request.urlopen(request).read())["value"]


def pictures(folder):
    """Pictures per second while the coverage scrolls for five seconds, and the longest time without one."""
    if not shutil.which("chromedriver"):
        return None
    process, url = served(folder)
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    for line in driver.stdout:
        if "successfully on port" in line:
            port = int(line.rsplit(" ", 1)[1].rstrip(".\n"))
            break
    options = {"args": ["--headless=new", "--no-sandbox", "--window-size=1280,800"]}
    session = call(port, "POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
    path = f"/session/{session['sessionId']}"
    call(port, "POST", path + "/url", {"url": url})
    time.sleep(5)
    script = """const done = arguments[0], map = document.querySelector('.map'), times = [];
      let begin = null;
      const step = (now) => { begin ??= now; times.push(now); map.scrollTop += 40; map.scrollLeft -= 3;
        if (now - begin < 5000) requestAnimationFrame(step);
        else done([times.length / 5, Math.max(...times.slice(1).map((at, index) => at - times[index])), map.scrollTop]); };
      requestAnimationFrame(step);"""
    found = call(port, "POST", path + "/execute/async", {"script": script, "args": []})
    call(port, "DELETE", path)
    for one in (driver, process):
        one.terminate()
        one.wait()
    return found


small, large = (f"{work}/page-{name}-{part}" for name in ("5-years", "20-years"))
html = f"{work}/page.html"
began = time.perf_counter()
reported = subprocess.Popen([program, "report", "--store", small, "--to", html, "--quiet"])
_, status, usage = os.wait4(reported.pid, 0)
assert status == 0
print(f"report, {500 // part} series x 5 years: {time.perf_counter() - began:.2f} s, "
      f"{usage.ru_utime + usage.ru_stime:.2f} s of processor time, "
      f"{os.path.getsize(html) / 2**20:.1f} MiB of HTML, {usage.ru_maxrss / 1024:.0f} MiB of memory")
for name, folder in [("500 x 5 years", small), ("10,000 x 20 years", large)]:
    print(f"\n{name}, divided by {part}:{'first':>42} {'median':>11}")
    rows, memory = views(folder, "T00007", 1)
    for document, first, millis, size in rows:
        print(f"  {document:58} {first:8.1f} ms {millis:8.1f} ms {size / 1024:9.1f} KiB")
    print(f"  {memory:.0f} MiB of memory")
scrolled = pictures(large)
if scrolled:
    print(f"\nscrolling {10000 // part} tickers x 20 years: {scrolled[0]:.0f} pictures per second, "
          f"longest pause {scrolled[1]:.0f} ms, over {scrolled[2] / 18:.0f} rows")
