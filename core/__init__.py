"""What every room stands on: errors, files that appear whole, locks, progress, and the dispatcher of `cocon`."""

if __name__ != "cocon.core":
    raise ImportError("install the project (make setup) and import this room as 'cocon.core'")
