"""The index: a `catalogue` beside `files` of rows, and the `changes` that add to them and take away.

A `query` asks, and its `answers` come by `search`, `ranking` and `vote`; `labelling` asks people for more labels,
`projection` draws a map. `upkeep` and `exchange` mend and carry over.
"""
