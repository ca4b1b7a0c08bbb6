import json
import sqlite3

import pytest

from cocon.client.index.query.conditions import Condition, checked_values, named_values
from cocon.core.errors import UsageError

VALUES = [
    {"take": 3, "note": "a"},
    {"take": 10.0, "note": "b", "day": "2026-01-31"},
    {"take": "3.50", "flag": True},
    {"take": "soon", 'odd "key"': "é", "nothing": None},
    {},
]


@pytest.fixture(scope="module")
def places() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE places (number INTEGER, metadata TEXT)")
    connection.executemany("INSERT INTO places VALUES (?, ?)", enumerate(map(json.dumps, VALUES)))
    return connection


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("take=3", [0]),
        ("take=3.0", [0]),
        ("take=3.5", [2]),
        ("take=3.50", [2]),
        ("take = 10 ", [1]),
        ("take!=3", [1, 2, 3, 4]),
        ("take>3", [1, 2]),
        ("take>=3", [0, 1, 2]),
        ("take<10", [0, 2]),
        ("take<=1e1", [0, 1, 2]),
        ("take=soon", [3]),
        ("take=", []),
        ("take>zzz", []),
        ("day>2026-01-30", [1]),
        ("day<2026-01-30", []),
        ("flag=true", [2]),
        ("flag=1", []),
        ("nothing=null", [3]),
        ('odd "key"=é', [3]),
        ("other=1", []),
        ("other!=1", [0, 1, 2, 3, 4]),
        ("take=1e999", []),
        ("take<99999999999999999999", [0, 1, 2]),
        ("note='; DROP TABLE places --", []),
        ("take=caf\udce9", []),
    ],
)
def test_values_meet_conditions_as_they_read(places: sqlite3.Connection, expression: str, expected: list[int]) -> None:
    sql, parameters = Condition.parse(expression).sql()
    found = places.execute(f"SELECT number FROM places WHERE {sql} ORDER BY number", parameters)
    assert [number for (number,) in found] == expected


@pytest.mark.parametrize("expression", ["", "take", "=3", " =3", ">", "take:3"])
def test_what_is_no_condition_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="must be KEY=VALUE"):
        Condition.parse(expression)
    with pytest.raises(UsageError, match="is no condition"):
        Condition("", "=", 1)


def test_values_are_numbers_only_where_nothing_is_lost() -> None:
    texts = {"a": "3", "b": "2.5", "c": "1.10", "d": "007", "e": "", "f": "x = y", "g": "NaN", "h": "-0", "i": "1e3"}
    named = named_values([*(f"{key}={text}" for key, text in texts.items()), " a = 4 ", "k=\udce9"])
    assert named == texts | {"a": 4, "b": 2.5, "e": None, "k": "\\xe9"}
    for wrong in ("x", "=3", "a<b=3", "a!=3", ""):
        with pytest.raises(UsageError, match="must be KEY=VALUE"):
            named_values([wrong])
    for unkept in ({"": 1}, {"a": float("nan")}):
        with pytest.raises(UsageError, match="cannot be kept"):
            checked_values(unkept)
