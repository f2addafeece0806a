"""Quantisers of the latent (EnCodec paper, sections 3.2 and A.2)."""
