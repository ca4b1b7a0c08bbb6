from pathlib import Path

import pytest

from cocon.client.index.query.path_globs import PathGlob
from cocon.core.errors import UsageError
from cocon.core.printable import escaped


@pytest.mark.parametrize(
    ("glob", "meant", "others"),
    [
        ("*.mp4", ["a.mp4", ".a.mp4"], ["x/a.mp4", "a.avi", "a.mp4x"]),
        ("**/*.mp4", ["a.mp4", "x/a.mp4", "x/y/a.mp4"], ["x/a.avi"]),
        ("**", ["a", "x/y"], ["../a"]),
        ("x", ["x", "x/a", "x/y/a"], ["xy", "y/x"]),
        ("x/", ["x/a"], ["xy"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xy"]),
        ("x/**/a", ["x/a", "x/y/z/a"], ["x/ya", "y/x/a"]),
        ("x**/a", ["xy/a"], ["x/y/a"]),
        (".", ["a", "x/y"], ["../a"]),
        ("../*", ["../a"], ["a"]),
        ("a?.mp4", ["ab.mp4", "a\udce9.mp4"], ["a.mp4", "a/.mp4"]),
        ("[ab].mp4", ["a.mp4", "[ab].mp4"], ["c.mp4"]),
        ("[!ab].mp4", ["c.mp4"], ["a.mp4"]),
        ("[a-c]", ["b"], ["d"]),
        ("[c-a]", ["[c-a]"], ["b"]),
        ("[]]", ["]"], ["["]),
        ("[", ["["], ["]"]),
        ("a[1", ["a[1"], ["a1"]),
        ("(a|b)+", ["(a|b)+"], ["a", "b"]),
        ("caf\udce9.mp4", ["caf\udce9.mp4"], ["cafe.mp4"]),
        (r"caf\xe9.mp4", ["caf\udce9.mp4", r"caf\xe9.mp4"], ["cafe.mp4"]),
        ("cafe\u0301/*", ["café/a", "cafe\u0301/a"], ["cafe/a"]),
        ("a\nb*", ["a\nbc"], ["a"]),
        ("/", ["a"], []),
    ],
)
def test_globs_mean_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, glob: str, meant: list[str], others: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    parsed = PathGlob.parse(glob)
    _, (begin, end) = parsed.sql()
    for name in meant + others:
        path = escaped(f"{tmp_path.parent if name.startswith('../') else tmp_path}/{name.removeprefix('../')}")
        is_near = str(begin) <= path < str(end)
        assert (is_near and parsed.matches(path)) == (name in meant), name


@pytest.mark.parametrize("glob", ["", " "])
def test_an_empty_glob_is_refused(glob: str) -> None:
    with pytest.raises(UsageError, match="is empty"):
        PathGlob.parse(glob)
