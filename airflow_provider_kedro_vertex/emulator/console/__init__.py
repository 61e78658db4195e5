"""Serves the page and what it reads."""
