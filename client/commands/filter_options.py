"""The options that choose videos and moments of an index, which several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.index.query.filters import Filters

__all__ = ["FilterOptions", "takes_filter_options"]


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """The options of every command that takes filters. A command that `takes_filter_options` has them as its own."""

    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="One of these labels; '' for none.", show_default=False),
    ] = None
    not_label: Annotated[
        list[str] | None, typer.Option("--not-label", help="None of these labels.", show_default=False)
    ] = None
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="GLOB", help="A video, folder or glob; ** is any folders.", show_default=False),
    ] = None
    from_s: Annotated[
        float | None, typer.Option("--from-s", min=0.0, help="Moments that end later.", show_default=False)
    ] = None
    to_s: Annotated[
        float | None, typer.Option("--to-s", min=0.0, help="Moments that begin earlier.", show_default=False)
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="KEY=VALUE", help="Metadata; also !=, <, <=, >, >=; all of them.", show_default=False
        ),
    ] = None

    @property
    def filters(self) -> "Filters":
        """What they choose."""
        from cocon.client.index.query.conditions import Condition
        from cocon.client.index.query.filters import Filters

        return Filters(
            labels=tuple(self.label or ()),
            not_labels=tuple(self.not_label or ()),
            paths=tuple(self.path or ()),
            from_seconds=self.from_s,
            to_seconds=self.to_s,
            where=tuple(Condition.parse(expression) for expression in self.where or ()),
        )


takes_filter_options = takes_options(FilterOptions)
