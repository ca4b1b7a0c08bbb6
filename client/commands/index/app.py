"""The commands `client index`, put together."""

import typer

from cocon.client.commands.index.labelling import labelling_app
from cocon.client.commands.index.mapping import mapping_app
from cocon.client.commands.index.upkeep import upkeep_app
from cocon.client.commands.index.videos import videos_app

__all__ = ["index_app"]

index_app = typer.Typer(no_args_is_help=True, help="Add videos to an index, list, label and remove them; keep it well.")
index_app.add_typer(videos_app)
index_app.add_typer(labelling_app)
index_app.add_typer(upkeep_app)
index_app.add_typer(mapping_app)
