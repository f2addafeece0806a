"""Weights: layouts of checkpoint files, loading, saving, downloads."""
