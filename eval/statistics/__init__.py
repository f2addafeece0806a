"""Means, paired differences and Bjontegaard deltas."""
