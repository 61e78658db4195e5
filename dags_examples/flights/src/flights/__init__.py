"""Predict how late New York's flights of one day arrive, from the weeks before it."""
