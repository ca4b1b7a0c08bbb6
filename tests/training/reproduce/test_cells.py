"""What the ablation trains."""

from cocon.training.reproduce.cells import ablation_cells

VIEWS = ("rgb", "flow", "pose", "mask")


def test_every_row_has_every_seed_and_a_folder_of_its_own() -> None:
    cells = ablation_cells(VIEWS, seeds=3, finetune_epochs=2)
    assert len({cell.name for cell in cells}) == len(cells)
    rows = {cell.row for cell in cells}
    assert {"random", "cpc", "cpc+sim", "cpc+sync", "cocon", "published"} < rows
    assert all([cell.seed for cell in cells if cell.row == row] == [0, 1, 2] for row in rows)


def test_views_are_added_one_by_one_from_the_appearance_on() -> None:
    cells = {cell.row: cell.views for cell in ablation_cells(VIEWS, seeds=1, finetune_epochs=0)}
    assert [cells[f"cocon-{count}-views"] for count in (1, 2, 3)] == [VIEWS[:1], VIEWS[:2], VIEWS[:3]]
    assert cells["cocon"] == VIEWS


def test_a_cell_comes_after_the_one_it_starts_from() -> None:
    names: list[str] = []
    for cell in ablation_cells(VIEWS, seeds=2, finetune_epochs=2):
        assert not cell.starts_from or cell.starts_from in names
        names.append(cell.name)


def test_without_extras_the_five_losses_remain() -> None:
    cells = ablation_cells(VIEWS, seeds=1, finetune_epochs=0, extras=False)
    assert [cell.row for cell in cells] == ["random", "cpc", "cpc+sim", "cpc+sync", "cocon"]
