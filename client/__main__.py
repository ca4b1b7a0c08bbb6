"""`python -m cocon.client` is the command `client`."""

from cocon.client.commands.main import main

main()
