"""A local Vertex AI for development and tests. Shares no code with the rest of the package: it is its judge."""
