"""Training examples: shards, excerpts, mixing, reverberation, batches."""
