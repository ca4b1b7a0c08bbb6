"""What every test may rely on."""

import signal

# A shell that starts the tests in the background has them ignore Ctrl-C, and children inherit that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
