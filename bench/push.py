"""Times push and other uploads of the same bars, in one run against one temporary server. See push.sh."""

import concurrent.futures
import datetime
import glob
import hashlib
import hmac
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM, WORK, STORE, MANY = sys.argv[1:5]
TICKERS = int(sys.argv[5])
ID, SECRET, REGION = "benchkey", "benchsecret", "us-east-1"
THREADS = 4
NEW = 0


class Server:
    """SeaweedFS with a bucket, in a folder of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="bfbench-", dir=WORK)
        keys = {"name": "bench", "credentials": [{"accessKey": ID, "secretKey": SECRET}],
                "actions": ["Admin", "Read", "List", "Write"]}
        with open(f"{self.dir}/keys.json", "w") as file:
            json.dump({"identities": [keys]}, file)
        names = ["master", "filer", "volume", "s3"]
        ports = dict(zip([f"{name}.port{kind}" for name in names for kind in ("", ".grpc")], free_ports(8)))
        self.port = ports["s3.port"]
        admin = next(port for port in range(30_000, 50_000) if is_free(port) and is_free(port + 10_000))
        ports |= {"admin.port": admin, "admin.port.grpc": admin + 10_000, "s3.port.iceberg": 0, "s3.port.lance": 0}
        os.mkdir(f"{self.dir}/data")
        self.process = subprocess.Popen(
            [os.path.abspath("vendor/cluster/bin/weed"), "-logdir=.", "mini", "-dir=data", "-s3.config=keys.json", "-ip=127.0.0.1",
             "-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-bucket=bench",
             "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock", *(f"-{name}={port}" for name, port in ports.items())],
            cwd=self.dir, stdout=open(f"{self.dir}/log", "w"), stderr=subprocess.STDOUT)
        self.sockets = [f"/tmp/seaweedfs-{name}-{port}.sock" for name in ("master-grpc", "filer-grpc", "volume-grpc", "s3-grpc", "admin-grpc")
                        for port in ports.values()]
        while "are running and ready" not in open(f"{self.dir}/log").read():
            if self.process.poll() is not None:
                sys.exit(open(f"{self.dir}/log").read())
            time.sleep(0.05)
        self.environment = {
            **os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ACCESS_KEY_ID": ID,
            "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
        }

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.dir)
        for path in self.sockets:
            if os.path.exists(path):
                os.remove(path)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def is_free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def signed(method, path, port):
    """The headers of a request whose body isn't signed."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    headers = {"host": f"127.0.0.1:{port}", "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"{method}\n{path}\n\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for word in (now[:8], REGION, "s3", "aws4_request", text):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return headers | {"authorization": f"AWS4-HMAC-SHA256 Credential={ID}/{scope},SignedHeaders={names},Signature={key.hex()}"}


def plain_puts(server, files, prefix):
    """Uploads the files with one PUT each, over as many connections as push has."""
    local = threading.local()

    def put(numbered):
        number, path = numbered
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", server.port)
        target = f"/bench/{prefix}/{number}.parquet"
        with open(path, "rb") as file:
            body = file.read()
        local.connection.request("PUT", target, body, signed("PUT", target, server.port))
        response = local.connection.getresponse()
        text = response.read()
        if response.status != 200:
            sys.exit(f"PUT: {response.status} {text}")

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, enumerate(files)))


def delta_rs(server, url):
    """Reads the lake's files and writes their rows as a Delta table, in a process of its own."""
    code = """
import sys, pyarrow.dataset as ds, pyarrow as pa
from deltalake import write_deltalake
lake, url = sys.argv[1:]
schema = pa.schema([("interval", pa.string()), ("ticker", pa.string()), ("year", pa.int32())])
rows = ds.dataset(lake, format="parquet", partitioning=ds.partitioning(schema, flavor="hive"))
write_deltalake(url, rows.scanner().to_reader(), partition_by=["interval", "ticker", "year"])
"""
    subprocess.run([sys.executable, "-c", code, f"{STORE}/lake", url], check=True,
                   env=server.environment | {"AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"})


def push(server, store, url, *more):
    subprocess.run([PROGRAM, "-q", "--store", store, "push", url, "--threads", str(THREADS), *more], check=True,
                   env=server.environment)


def new_url():
    global NEW
    NEW += 1
    return f"s3://bench/t{NEW}"


def timed(what):
    """By the clock, and processor time of the programs that were run (or of this one)."""
    spent = lambda: sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    began, before = time.perf_counter(), spent()
    what()
    return time.perf_counter() - began, spent() - before


def alternate(programs, rounds=5):
    """All programs in each round, so that a busy machine slows all of them. Returns the median times."""
    times = {name: [] for name in programs}
    for number in range(rounds):
        order = list(programs.items())
        for name, what in order if number % 2 == 0 else reversed(order):
            times[name].append(timed(what))
    medians = {}
    for name, taken in times.items():
        clock, processor = (statistics.median(column) for column in zip(*taken))
        medians[name] = clock
        print(f"{name:40} {clock:8.2f} s   processor {processor:6.2f} s", flush=True)
    return medians


def many_partitions():
    """A store with 20 small partitions for each ticker."""
    if os.path.isdir(MANY):
        return
    folder = f"{MANY}.csv"
    os.makedirs(folder, exist_ok=True)
    for number in range(TICKERS):
        with open(f"{folder}/T{number}.csv", "w") as file:
            file.write("timestamp,open,high,low,close,volume\n")
            for year in range(2005, 2025):
                for minute in range(30):
                    price = 10 + (number * 7 + year + minute) % 13
                    file.write(f"{year}-06-02T15:{minute:02}:00Z,{price},{price + 1},{price},{price},{minute}\n")
    store = f"{MANY}.part"
    subprocess.run([PROGRAM, "-q", "--store", store, "inject-csv", "--csv-dir", folder, "--interval", "1", "--exchange", "CRYPTO",
                    "--seal", "never"], check=True)
    subprocess.run([PROGRAM, "-q", "--store", store, "seal"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)
    os.rename(store, MANY)


def main():
    many_partitions()
    server = Server()
    try:
        measure(server)
    finally:
        server.stop()


def measure(server):
    files = glob.glob(f"{STORE}/lake/**/*.parquet", recursive=True)
    size = sum(map(os.path.getsize, files))
    print(f"{len(files)} files, {size / 1e6:.1f} MB; medians; {THREADS} uploads at a time")
    prefixes = iter(range(1000))
    found = alternate({
        "plain PUTs of the same files": lambda: plain_puts(server, files, f"plain{next(prefixes)}"),
        "backfill push": lambda: push(server, STORE, new_url()),
        "delta-rs, the same rows": lambda: delta_rs(server, new_url()),
    })
    puts, own, rows = found.values()
    print(f"push: {puts / own:.2f} of the speed of plain PUTs (goal 0.9), {rows / own:.1f} times that of delta-rs")

    url = new_url()
    push(server, STORE, url)
    alternate({"nothing new": lambda: push(server, STORE, url)})

    partitions = glob.glob(f"{MANY}/lake/**/*.parquet", recursive=True)
    print(f"{len(partitions)} files, {sum(map(os.path.getsize, partitions)) / 1e6:.1f} MB")
    url = new_url()
    alternate({
        "plain PUTs of the same files": lambda: plain_puts(server, partitions, f"plain{next(prefixes)}"),
        "backfill push": lambda: push(server, MANY, url),
    }, 1)
    alternate({"nothing new (goal under 2 s)": lambda: push(server, MANY, url)})


main()
