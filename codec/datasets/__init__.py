"""Data sets for training: manifests, indexing, layouts."""
