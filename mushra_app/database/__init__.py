"""The database of a study: listeners, sessions and ratings."""
