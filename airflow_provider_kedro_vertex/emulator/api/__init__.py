"""Serves Vertex AI's methods over REST and gRPC."""
