"""Runs that are on a server, as they are read and changed from here; what both sides of that say to each other."""
