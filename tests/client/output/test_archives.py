"""Parquet files: columns as pyarrow itself makes them, and nothing imported that is not needed."""

import io
import subprocess
import sys

import numpy as np
import pyarrow
from pyarrow import parquet

from cocon.client.output.archives import ParquetSink
from cocon.client.pipeline.video_embedding import Row

DIM = 3
_WRITE = """
import io, sys
from cocon.client.output.archives import ParquetSink
sink = ParquetSink(io.BytesIO(), 3, "f")
sink.finish()
row = dict.fromkeys(("video", "content_sha256", "view", "model", "version", "fingerprint"), "x")
row |= {"clip": 0, "start_seconds": 0.0, "end_seconds": 1.0, "num_frames": 1, "truncated": True, "embedding": [0, 0, 1]}
sink = ParquetSink(io.BytesIO(), 3, "f")
sink.write([row])
sink.finish()
print("pandas" in sys.modules)
"""


def _row(number: int) -> Row:
    return {
        "video": f"{'häß' * number}.mp4",
        "content_sha256": "",
        "view": "rgb",
        "clip": number,
        "start_seconds": number / 3,
        "end_seconds": number / 2,
        "num_frames": 10**12 + number,
        "truncated": number % 3 == 0,
        "model": "m",
        "version": "1",
        "fingerprint": "f",
        "embedding": np.arange(number, number + DIM, dtype=np.float32),
        "blocks": np.arange(2 * DIM, dtype=np.float32) / 7,
    }


def test_columns_are_what_pyarrow_makes_of_the_values() -> None:
    stream = io.BytesIO()
    sink = ParquetSink(stream, DIM, "f", num_blocks=2)
    rows = [_row(number) for number in range(19)]
    sink.write(rows[:11])
    sink.write(rows[11:])
    sink.finish()
    table = parquet.read_table(stream)
    table.validate(full=True)
    for name in rows[0]:
        kind = table.schema.field(name).type
        values = [row[name] for row in rows]
        if name == "blocks":
            values = [np.asarray(value, np.float16) for value in values]
        assert table.column(name).combine_chunks().equals(pyarrow.array(values, kind)), name


def test_writing_does_not_wait_for_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", _WRITE], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
