"""The index: its `files`, their `upkeep` and `exchange`; what asks, a `query`; its `answers` by what is beside them.

Those are `search`, `ranking` and `vote`.
"""
