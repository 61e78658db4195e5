"""The container side: runs a node group's nodes. Imports core, kedro, fsspec and cloudpickle."""
