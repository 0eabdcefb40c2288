"""How this process asks a tracker server."""
