"""Tables off a terminal: nothing is folded, nothing is framed."""

import pytest

from cocon.core.tables import cell, new_table, print_table


@pytest.mark.parametrize(("is_dense", "gap"), [(False, "   "), (True, "  ")])
def test_a_long_cell_stays_on_its_line(is_dense: bool, gap: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("first", "second", title="title", is_dense=is_dense)
    table.add_row("a" * 200, "b")
    print_table(table)
    title, _, header, rule, row, *_ = capsys.readouterr().out.splitlines()
    assert (title.strip(), header.split(), rule.strip("─ ")) == ("title", ["first", "second"], "")
    assert row.strip() == f"{'a' * 200}{gap}b"


def test_words_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("video", title="[red]:smile:")
    for name in ("[bold]:smile:.mp4", "[/].mp4", "\x1b[31m\n.mp4", " a  b "):
        table.add_row(cell(name))
    print_table(table)
    title, _, _, _, *rows = (line.strip() for line in capsys.readouterr().out.splitlines())
    assert title == "[red]:smile:"
    assert [row for row in rows if row] == ["[bold]:smile:.mp4", "[/].mp4", r"\x1b[31m\x0a.mp4", r"\x20a  b\x20"]
