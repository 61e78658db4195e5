"""The nodes' container image: built of the project's folder by docker or podman, and pushed."""
