"""The project's configuration: read before there is a session, and partly made in the container."""
