"""EnCodec (arXiv 2210.13438, section 3): configuration, network, quantiser, streaming."""
