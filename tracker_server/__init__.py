"""Store, query, HTTP API and dashboard. Nothing here is imported inside a training process before it is asked for."""
