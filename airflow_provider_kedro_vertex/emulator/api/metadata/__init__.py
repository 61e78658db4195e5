"""MetadataService (v1): metadata stores, and the artifacts, contexts and executions in them, which are its nodes."""
