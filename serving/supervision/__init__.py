"""Watching a running server.

`supervisor` restarts a model that died or hangs, or the whole server. What it goes by is seen by `lookout`, which asks
the models (`questions`, `probe`), looks after their `workers`, and has new ones started (`repair`); `settings` say how
closely. Word of it is left by `incidents` and `crash_logs`. `keeper` is the process that supervises a server in the
background.
"""
