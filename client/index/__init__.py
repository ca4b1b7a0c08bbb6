"""The index: its `files` and their `upkeep`; what asks, a `query`; its `answers` by `search`, `ranking`, `vote`."""
