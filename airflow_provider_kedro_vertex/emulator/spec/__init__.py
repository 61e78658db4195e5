"""Reads a PipelineSpec: checked against its schema, into the graph that the engine runs."""
