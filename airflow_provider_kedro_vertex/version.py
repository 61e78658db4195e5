"""The version, in a module of its own: it is read where importing anything more would break an import rule."""

__version__ = "0.1.0"
