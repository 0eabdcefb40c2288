"""What was run and on what: the command, the machine, the packages, the source and its uncommitted changes."""
