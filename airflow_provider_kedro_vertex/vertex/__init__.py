"""The Vertex AI REST client. Imports core, google-auth and requests."""
