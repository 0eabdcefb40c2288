"""What is wrong with an installation or a folder, and the remedy."""
