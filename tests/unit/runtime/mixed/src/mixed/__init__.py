"""Random pipelines whose nodes and datasets have the same names; the tests write them to `pipelines.json`."""
