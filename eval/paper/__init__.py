"""Tables of the EnCodec paper (arXiv 2210.13438) with our figures beside the published ones."""
