"""Quantizers as they are trained: RVQ, DiffQ, Gumbel-softmax."""
