"""Tables off a terminal: nothing is folded, nothing is framed."""

import pytest

from cocon.core.tables import new_table, print_table


@pytest.mark.parametrize(("is_dense", "gap"), [(False, "   "), (True, "  ")])
def test_a_long_cell_stays_on_its_line(is_dense: bool, gap: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("first", "second", title="title", is_dense=is_dense)
    table.add_row("a" * 200, "b")
    print_table(table)
    title, _, header, rule, row, *_ = capsys.readouterr().out.splitlines()
    assert (title.strip(), header.split(), rule.strip("─ ")) == ("title", ["first", "second"], "")
    assert row.strip() == f"{'a' * 200}{gap}b"
