"""Send what a folder's journals and files hold to a server: the sender, its process, and what both sides say."""
