"""What a run prints: a model of terminal lines, the recorder of their changes, and the hooks on stdout and stderr."""
