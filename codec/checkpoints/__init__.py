"""Checkpoints: layouts of weight files, loading, saving and downloading."""
