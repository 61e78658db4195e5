"""Runs one container: as a process in a copy of a folder, or not at all."""
