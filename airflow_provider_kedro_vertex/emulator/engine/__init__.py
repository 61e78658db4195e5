"""Runs jobs: which task may start, what it is given, what became of it."""
