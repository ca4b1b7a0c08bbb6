"""The index: its `files` and their `upkeep`; what is asked, a `query`; how it answers: `search`, `ranking`, `vote`."""
