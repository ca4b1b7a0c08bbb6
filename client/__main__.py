"""`python -m cocon.client` is the command `client`."""

from cocon.client.cli import main

main()
