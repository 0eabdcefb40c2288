"""`tracker run`: any command as a run."""
