"""Starters for the real servers that tests talk to."""
