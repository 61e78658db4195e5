"""The names of kedro-vertexai that projects use, where that package is not installed."""
