"""What answers: models behind a server or in this process; `connections` to servers that ask who asks."""
