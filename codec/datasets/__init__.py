"""Data sets to train on: manifests, indexing, layouts."""
