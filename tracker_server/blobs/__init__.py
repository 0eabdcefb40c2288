"""The bytes of artifacts: cut into chunks, kept once per project in packs, read back checked."""
