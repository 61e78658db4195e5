"""Google's credentials and Secret Manager."""
