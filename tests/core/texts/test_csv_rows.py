"""Tables as spreadsheets and people write them."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.texts.csv_rows import csv_columns, csv_rows


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_have_the_line_on_which_they_begin(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "manifest.csv"
    lines = ["path, label", '"a, b.mp4",hüpfen', "", '"c', 'd.mp4",', "e.mp4", ""]
    path.write_bytes(end.join(lines).encode(encoding))
    assert csv_columns(path) == ["path", "label"]
    assert list(csv_rows(path, "path")) == [
        (2, {"path": "a, b.mp4", "label": "hüpfen"}),
        (4, {"path": f"c{end}d.mp4", "label": ""}),
        (6, {"path": "e.mp4", "label": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label\nx\n", r"x.csv' has no column 'path'; its columns: label$"),
        (b"", r"x.csv' has no column 'path'; its columns: $"),
        (b"path,label,path\n", r"x.csv' has the column 'path' twice"),
        (b"path\na.mp4\nb.mp4,x\n", r"x.csv' line 3 has 2 fields, the header 1 columns"),
        (b'path\na.mp4\n"b.mp4\nc.mp4\n', r"x.csv' line 3 cannot be read as text with commas: unexpected end of data"),
        (b"path\na.mp4\nb\xe9.mp4\n", r"x.csv' line 3 is not UTF-8 \(byte 0xe9\)"),
        (b"path\na\0.mp4\n", r"x.csv' line 2 has a zero byte"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        list(csv_rows(path, "path"))
