"""Pure functions over frozen dataclasses: what to run on Vertex AI. Imports the standard library alone."""
