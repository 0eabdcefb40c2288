"""What a run is, and how runs are found."""
