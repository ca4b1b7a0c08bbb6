"""What every room stands on.

`errors` and their exit codes, `paths` that somebody names and that are not there, files that appear whole (`atomic`),
one writer a folder (`folder_lock`), what must be closed (`closing`), bars of `progress` and what else is `telling` how
work goes, text for people and names of files as text (`printable`), `tables` for people, `texts` that people bring or
other programs take, which `hosts` are this machine and which `proxies` stand before the others, the dispatcher of
`cocon` (`command`), which `extras` bring which libraries, and `options` that several commands share.
"""

if __name__ != "cocon.core":
    raise ImportError("install the project (make setup) and import this room as 'cocon.core'")
