"""Classifiers on pre-trained encoders: fitted to frozen ones, or trained together with them."""
