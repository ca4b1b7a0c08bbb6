"""What a training was good for: its encoders beside untrained ones and those it began with, on held-out videos."""
