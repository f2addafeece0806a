"""EnCodec for fast inference on the CPU, with oneDNN and packed weights."""
