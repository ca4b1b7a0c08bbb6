"""Pictures out of videos, and what is drawn and written on them."""
