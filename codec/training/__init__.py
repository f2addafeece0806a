"""Training: the paper's recipe, its ablations and SoundStream (EnCodec paper, sections 3.4 and 4, appendix A)."""
