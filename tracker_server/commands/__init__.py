"""The subcommands of `tracker`."""
