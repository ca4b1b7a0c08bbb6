"""A model repository is looked at before a server opens it: can it run code, and are its files the ones it says?"""
