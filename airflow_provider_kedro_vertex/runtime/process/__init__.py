"""The process of a container: its environment variables, host names and memory."""
