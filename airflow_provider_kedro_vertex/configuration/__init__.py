"""How a project's configuration is read by Kedro and OmegaConf, the same way beside the project and in a container.

``project`` and ``runtime`` stand on it; it stands on ``core``.
"""
