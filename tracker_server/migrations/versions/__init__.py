"""One module per version. A module that was released is never changed."""
