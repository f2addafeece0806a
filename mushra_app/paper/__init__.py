"""Reproduction of the EnCodec paper (arXiv 2210.13438): each table and figure from trainings, runs and listeners."""
