"""Keeps what outlives a request: jobs in SQLite, the buckets' files, the containers' logs."""
