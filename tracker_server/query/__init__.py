"""A tracker folder as its readers see it."""
