"""The inputs of a project's pipelines: which files at home belong below ``data_root``, and their upload."""
