"""Counts the bars of Parquet files with Apache Spark: a driver and two executors, each a process of its own.

Usage: spark.py BASE <FILES: the live files of the table at BASE, one address per line. The storage is that of the AWS variables.
Prints rows as `count` in engines.py. Spark can't read the table's log without a jar that isn't in the package registries used here.
"""

import glob
import json
import os
import site
import sys

[packages] = site.getsitepackages()
os.environ.setdefault("SPARK_HOME", f"{packages}/pyspark")  # the executors are started from there
os.environ.setdefault("SPARK_SCALA_VERSION", "2.12")
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

from pyspark.sql import SparkSession  # noqa: E402 - after its settings

# Hadoop's S3 client and what it needs. The package has many more jars, which aren't used.
NEEDED = ("hadoop-aws-", "aws-java-sdk-", "joda-time-", "ion-java-", "jmespath-")
SQL = (
    "SELECT `interval`, ticker, count(*), count(DISTINCT `timestamp`), CAST(sum(round(close * 10000)) AS BIGINT), "
    "CAST(sum(floor(volume)) AS BIGINT), unix_seconds(min(`timestamp`)), unix_seconds(max(`timestamp`)) "
    "FROM bars GROUP BY `interval`, ticker"
)


def s3a(address):
    """Hadoop's name of an S3 address."""
    return address.strip().replace("s3://", "s3a://", 1)


def main():
    found = glob.glob(f"{packages}/bodo_iceberg_connector/**/*.jar", recursive=True)
    jars = [jar for jar in found if os.path.basename(jar).startswith(NEEDED)]
    settings = {
        "spark.jars": ",".join(jars),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        # Else a table whose only ticker is 0700 has the ticker 700.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.hadoop.fs.s3a.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "spark.hadoop.fs.s3a.access.key": os.environ["AWS_ACCESS_KEY_ID"],
        "spark.hadoop.fs.s3a.secret.key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    files = [s3a(line) for line in sys.stdin if line.strip()]
    spark.read.option("basePath", s3a(sys.argv[1])).parquet(*files).createOrReplaceTempView("bars")
    rows = sorted([list(row) for row in spark.sql(SQL).collect()])
    spark.stop()
    print(json.dumps(rows))


main()
