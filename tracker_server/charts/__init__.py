"""Charts: which points fall into which bucket."""
