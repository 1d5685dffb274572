"""Reads a folder of recordings with DuckDB, Polars and pandas: one JSON line each.

Each line is {"reader": name, "version": v, "rows": [[pub, ts, topic, payload in hex, date, hour], ...]} in order
of `pub`, times in milliseconds since 1970; the partitions' columns come from the folders' names.
"""

import json
import sys


def with_duckdb(folder):
    import duckdb

    rows = duckdb.sql(
        f"""
        SELECT epoch_ms(pub), epoch_ms(ts), topic, lower(hex(payload)), CAST(date AS VARCHAR), CAST(hour AS INTEGER)
        FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) ORDER BY pub
        """
    ).fetchall()
    return duckdb.__version__, rows


def with_polars(folder):
    import polars as pl

    millis = lambda name: pl.col(name).dt.epoch("ms")
    rows = (
        pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
        .sort("pub")
        .select(
            millis("pub"),
            millis("ts"),
            "topic",
            pl.col("payload").bin.encode("hex"),
            pl.col("date").cast(pl.String),
            pl.col("hour").cast(pl.Int64),
        )
        .collect()
        .rows()
    )
    return pl.__version__, rows


def with_pandas(folder):
    import pandas as pd

    frame = pd.read_parquet(folder).sort_values("pub")
    millis = lambda column: [int(moment.timestamp() * 1000 + 0.5) for moment in column]
    rows = zip(
        millis(frame["pub"]),
        millis(frame["ts"]),
        frame["topic"],
        [bytes(payload).hex() for payload in frame["payload"]],
        frame["date"].astype(str),
        frame["hour"].astype(int),
    )
    return pd.__version__, [[*row[:5], int(row[5])] for row in rows]


if __name__ == "__main__":
    for name, reader in [("duckdb", with_duckdb), ("polars", with_polars), ("pandas", with_pandas)]:
        version, rows = reader(sys.argv[1])
        print(json.dumps({"reader": name, "version": version, "rows": rows}))
