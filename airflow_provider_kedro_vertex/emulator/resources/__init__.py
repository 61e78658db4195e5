"""The vocabulary of Vertex AI's API: messages, names, states and errors. Everything else stands on it."""
