"""Hosting a model repository with Triton.

`checking` looks at the repository first, `installation` finds the server, `starting` says whether it can be started,
`launcher` starts it as a process (`processes`, `tether`; `leavings` is what it would leave behind) that listens on an
`address`, `readiness` waits for its models, `record` and `background` keep it running behind the caller, `supervision`
restarts what fails of it, `rollout` changes the versions that it serves; `backends` stand in for those that a wheel's
server lacks.
"""

if __name__ != "cocon.serving":
    raise ImportError("install the project (make setup) and import this room as 'cocon.serving'")
