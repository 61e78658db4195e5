"""What goes wrong with the local stack, said in words for the person who started it."""

from __future__ import annotations


class StackError(Exception):
    """A part of the local stack did not start, ended, or did not answer in time. Its text is for the terminal."""
