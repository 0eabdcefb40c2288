"""Columns of numbers as bytes."""
