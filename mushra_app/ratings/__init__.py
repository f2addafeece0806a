"""Rating tables, importers and post-screening."""
