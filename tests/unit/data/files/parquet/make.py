"""Writes the Parquet files beside it with pyarrow, a writer that shares no code with the reader under test."""

import datetime
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

message = pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())])
table = pa.table(
    {
        "id": pa.array([1, 2, 9007199254740993], pa.int64()),
        "messages": pa.array(
            [
                [
                    {"role": "user", "content": 'q "1"', "name": "ann"},
                    {"role": "assistant", "content": "größer 🙂", "name": None},
                ],
                [{"role": "user", "content": "", "name": None}, {"role": "assistant", "content": "a2", "name": None}],
                [{"role": "assistant", "content": "x" * 3000, "name": None}],
            ],
            pa.list_(message),
        ),
        "score": pa.array([0.5, None, 2.0]),
        "source": pa.array(["a", "b", None]).dictionary_encode(),
        "day": pa.array([datetime.date(2024, 7, 26)] * 3),
        "empty": pa.array([None] * 3, pa.string()),
    }
)
here = pathlib.Path(__file__).parent
for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
    pq.write_table(table, here / f"{codec}.parquet", compression=codec, row_group_size=2)
    pq.write_table(
        table, here / f"{codec}_v2.parquet", compression=codec, data_page_version="2.0", version="2.6"
    )
# As a `Sequence` of objects is kept: an object of lists.
columns = pa.struct([("from", pa.list_(pa.string())), ("value", pa.list_(pa.string()))])
rows = [{"from": ["human", "gpt"], "value": ["q", "a"]}]
pq.write_table(pa.table({"conversations": pa.array(rows, columns)}), here / "object_of_lists.parquet")
# One row group that is read in parts, with many pages.
many = [
    {"n": n, "messages": [{"role": "user" if m % 2 == 0 else "assistant", "content": f"{n}.{m}"} for m in range(1 + n % 5)]}
    for n in range(20000)
]
for version in ["1.0", "2.0"]:
    pq.write_table(
        pa.Table.from_pylist(many),
        here / f"pages_v{version[0]}.parquet",
        compression="zstd",
        data_page_size=16384,
        data_page_version=version,
        use_dictionary=["messages.list.element.role"],
    )
# Row groups of 1, 0 and 1 rows, and none at all.
texts = pa.table({"text": ["a", "b"]})
with pq.ParquetWriter(here / "empty_groups.parquet", texts.schema) as writer:
    for part in [texts.slice(0, 1), texts.slice(0, 0), texts.slice(1, 1)]:
        writer.write_table(part)
pq.write_table(texts.slice(0, 0), here / "no_rows.parquet")
# Pages of lists with far more values than a part of their row group has rows: nulls, empty lists, and lists of lists.
def gaps(n):
    if n % 7 < 2:
        return None if n % 7 == 0 else []
    return [None if (n + m) % 5 == 0 else "abc"[(n + m) % 3] for m in range(n % 7 - 1)]


def nested(n):
    return [gaps(n + m) for m in range(n % 3)]


pq.write_table(
    pa.table(
        {
            "n": list(range(20000)),
            "gaps": pa.array([gaps(n) for n in range(20000)], pa.list_(pa.string())),
            "nested": pa.array([nested(n) for n in range(20000)], pa.list_(pa.list_(pa.string()))),
        }
    ),
    here / "gaps.parquet",
    compression="zstd",
    use_dictionary=["gaps.list.element", "nested.list.element.list.element"],
)
# One row group that is read as a whole, with more values in a list than a part of a group has rows.
whole = pa.table({"n": pa.array(range(3000), pa.int32()), "roles": [["user", "assistant"] * 3] * 3000})
for beside, columns in {"before": ["n", "roles"], "after": ["roles", "n"]}.items():
    pq.write_table(
        whole.select(columns),
        here / f"whole_{beside}.parquet",
        compression="zstd",
        use_dictionary=["roles.list.element"],
    )
