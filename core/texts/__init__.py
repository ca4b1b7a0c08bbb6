"""Texts that people bring, and those that other programs take: lists, tables, JSON."""
