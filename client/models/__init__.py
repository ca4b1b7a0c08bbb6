"""What answers: models behind a server or in this process."""
