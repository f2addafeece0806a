"""EnCodec: configuration, network, streaming (arXiv 2210.13438, section 3)."""
