"""The project as it was inspected: the manifest, the graph of its nodes, and slices of it."""
