"""Tables of ratings, importers and post-screening."""
