"""What answers: models behind a server or in this process.

`connections` go to servers that ask who asks, `versions` are what those offer, and whether they stay the same.
"""
