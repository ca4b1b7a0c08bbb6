"""What each request is answered with, subject by subject."""
