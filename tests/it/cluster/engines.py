"""Other engines for the tests: each line of standard input is a request, each line of standard output its response.

Requests and responses are JSON. A request has `do`, the `url` of a table, and what the function of that name in
`ACTIONS` takes. The storage is that of the AWS variables. See engines.rs.
"""

import datetime
import glob
import importlib.util
import json
import os
import sys
import threading
import traceback

# Sail reads its settings when it is loaded. In this mode it is a driver and four workers in one process,
# which talk over TCP.
os.environ.setdefault("SAIL_MODE", "local-cluster")
os.environ.setdefault("RUST_LOG", "error")
# Spark returns times in the zone of the process.
os.environ["TZ"] = "UTC"

WHOLE = (
    "count(*) AS bars, count(DISTINCT {time}) AS keys, CAST(sum(round(close * 10000)) AS BIGINT) AS closes, "
    "CAST(sum(floor(volume)) AS BIGINT) AS volumes, min({time}) AS first, max({time}) AS last"
)
PER_SERIES = "SELECT {interval} AS series_interval, ticker, " + WHOLE + " FROM {table} GROUP BY {interval}, ticker"
# `interval` and `timestamp` are keywords of some engines.
QUOTED = {"interval": '"interval"', "time": '"timestamp"'}
BACKTICKS = {"interval": "`interval`", "time": "`timestamp`"}


def options():
    """The storage as delta-rs and Polars take it."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return {}
    return {
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "aws_conditional_put": "etag",
    }


# ------------------------------------------------------------------------------------------------------ readers


def delta_rs(url):
    from deltalake import DeltaTable, QueryBuilder

    table = DeltaTable(url, storage_options=options())
    found = QueryBuilder().register("bars", table).execute(PER_SERIES.format(table="bars", **QUOTED)).read_all()
    return [[*values] for values in zip(*(found[name].to_pylist() for name in found.schema.names))]


def polars(url):
    import polars as pl

    time = pl.col("timestamp")
    found = pl.scan_delta(url, storage_options=options()).group_by("interval", "ticker").agg(
        pl.len(), time.n_unique(), (pl.col("close") * 10000).round().sum().cast(pl.Int64).alias("closes"),
        pl.col("volume").floor().sum().cast(pl.Int64), time.min().alias("first"), time.max().alias("last"),
    )
    return [list(row) for row in found.collect().iter_rows()]


def load(connection, extension):
    """Loads an extension from its Python package, so that nothing is downloaded."""
    [folder] = importlib.util.find_spec(f"duckdb_extension_{extension}").submodule_search_locations
    [file] = glob.glob(f"{folder}/extensions/*/{extension}.duckdb_extension")
    connection.execute(f"LOAD '{file}'")


def duckdb(url):
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
        load(connection, "httpfs")
        load(connection, "delta")
        connection.execute("SET TimeZone = 'UTC'")
        if "AWS_ENDPOINT_URL" in os.environ:
            endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
            key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            connection.execute(
                f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', "
                f"ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
            )
        # As whole seconds: DuckDB needs one more package to return a time with its zone.
        sql = PER_SERIES.replace("min({time})", "epoch(min({time}))").replace("max({time})", "epoch(max({time}))")
        return [list(row) for row in connection.execute(sql.format(table=f"delta_scan('{url}')", **QUOTED)).fetchall()]


class Sail:
    """A Sail cluster and a Spark session on it, started when first used."""

    def __init__(self):
        self.session = None
        self.lock = threading.Lock()

    def spark(self):
        with self.lock:
            if self.session is None:
                import warnings

                warnings.simplefilter("ignore")
                for name, value in {"AWS_ENDPOINT": os.environ.get("AWS_ENDPOINT_URL"), "AWS_ALLOW_HTTP": "true"}.items():
                    if value:
                        os.environ[name] = value
                from pysail.spark import SparkConnectServer

                self.server = SparkConnectServer()
                self.server.start()
                port = self.server.listening_address[1]
                from pyspark.sql import SparkSession

                self.session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
                self.session.conf.set("spark.sql.session.timeZone", "UTC")
            return self.session

    def __call__(self, url):
        table = f"delta.`{url}`"
        return [list(row) for row in self.spark().sql(PER_SERIES.format(table=table, **BACKTICKS)).collect()]


READERS = {"delta-rs": delta_rs, "Polars": polars, "DuckDB": duckdb, "Sail": Sail()}


def plain(value):
    """Times as seconds, everything else as it is."""
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        value = value.timestamp()
    return int(value) if isinstance(value, float) else value


def count(url, engine):
    """Per series: interval, ticker, bars, distinct times, sums of closes (in 1/10000) and of whole volumes, first and last time."""
    return sorted([plain(value) for value in row] for row in READERS[engine](url))


# ---------------------------------------------------------------------------------------------- reads in a loop


class Polls:
    """Each engine reads the table again and again in a thread of its own, from `poll` until after `polled`."""

    def start(self, url, engines):
        self.stop = threading.Event()
        self.url, self.seen = url, {engine: [] for engine in engines}
        self.threads = [threading.Thread(target=self.read, args=(url, engine), daemon=True) for engine in engines]
        for engine in engines:
            self.seen[engine].append(count(url, engine))
        for thread in self.threads:
            thread.start()

    def read(self, url, engine):
        while not self.stop.is_set():
            try:
                self.seen[engine].append(count(url, engine))
            except Exception as error:  # noqa: BLE001 - the test decides
                self.seen[engine].append(f"{type(error).__name__}: {error}")

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for engine, reads in self.seen.items():
            reads.append(count(self.url, engine))
        return self.seen


POLLS = Polls()


# ------------------------------------------------------------------------------------- changes by another writer


def table(url):
    from deltalake import DeltaTable

    return DeltaTable(url, storage_options=options())


def bars(rows):
    """A table of bars with the columns of the published table: [interval, ticker, year, first second, count]."""
    import pyarrow as pa

    columns = {name: [] for name in ("timestamp", "price", "interval", "ticker", "year")}
    for interval, ticker, year, first, many in rows:
        for number in range(many):
            columns["timestamp"].append((first + 60 * number) * 1_000_000)
            columns["price"].append(float(10 + number % 7))
            columns["interval"].append(interval)
            columns["ticker"].append(ticker)
            columns["year"].append(year)
    price = pa.array(columns["price"], pa.float64())
    rows = len(columns["price"])
    return pa.table({
        "timestamp": pa.array(columns["timestamp"], pa.timestamp("us", "UTC")),
        "open": price, "high": price, "low": price, "close": price,
        "volume": pa.array([1.0] * rows, pa.float64()),
        "vwap": pa.nulls(rows, pa.float64()),
        "trades": pa.nulls(rows, pa.int64()),
        "source": pa.array(["other"] * rows, pa.string()),
        "commit_seq": pa.array([1] * rows, pa.int64()),
        "interval": pa.array(columns["interval"], pa.string()),
        "ticker": pa.array(columns["ticker"], pa.string()),
        "year": pa.array(columns["year"], pa.int32()),
    })


def write(url, mode, rows):
    """Another program's rows: `append`, or `overwrite` for a table that is replaced."""
    from deltalake import write_deltalake

    write_deltalake(url, bars(rows), mode=mode, partition_by=["interval", "ticker", "year"], storage_options=options(),
                    schema_mode="overwrite" if mode == "overwrite" else None)


def write_prices(url):
    """A table that isn't one of bars."""
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(url, pa.table({"ticker": ["A"], "price": [1.0]}), storage_options=options())


def bucket():
    from pyarrow import fs

    return fs.S3FileSystem(
        endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"), scheme="http", region="us-east-1",
        access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )


def objects(url):
    """Names of all objects of the table, below its address."""
    from pyarrow import fs

    base = url.removeprefix("s3://")
    found = bucket().get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    return sorted(info.path.removeprefix(base + "/") for info in found if info.is_file)


def remove(url, names=None):
    """Deletes these objects of the table, or all."""
    storage = bucket()
    for name in objects(url) if names is None else names:
        storage.delete_file(f"{url.removeprefix('s3://')}/{name}")


def forget_commits(url):
    """Deletes the commits up to the newest checkpoint, as a cleanup of the log does."""
    log = [name for name in objects(url) if name.startswith("_delta_log/0")]
    newest = max(name for name in log if name.endswith(".checkpoint.parquet")).split(".")[0]
    remove(url, [name for name in log if name.endswith(".json") and name.split(".")[0] <= newest])


def put(url, name, bytes):
    """Writes an object of this size."""
    with bucket().open_output_stream(f"{url.removeprefix('s3://')}/{name}") as out:
        out.write(b"x" * bytes)


def optimize(url):
    return table(url).optimize.compact()


def vacuum(url, hours):
    return table(url).vacuum(retention_hours=hours, enforce_retention_duration=False, dry_run=False)


ACTIONS = {
    "count": count,
    "poll": POLLS.start,
    "polled": POLLS.finish,
    "write": write,
    "write_prices": write_prices,
    "objects": objects,
    "remove": remove,
    "forget_commits": forget_commits,
    "put": put,
    "delete": lambda url, where: table(url).delete(where),
    "optimize": optimize,
    "vacuum": vacuum,
    "checkpoint": lambda url: table(url).create_checkpoint(),
    "version": lambda url: table(url).version(),
    "files": lambda url: sorted(table(url).file_uris()),
    "history": lambda url: [entry.get("operation") for entry in table(url).history()],
}


def main():
    # Libraries print to standard output, which is for responses.
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            response = {"ok": ACTIONS[request.pop("do")](**request)}
        except Exception as error:  # noqa: BLE001 - the test decides
            response = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(json.dumps(response, default=str), file=responses, flush=True)
    # Threads of the engines must not keep the process alive.
    responses.flush()
    os._exit(0)


main()
