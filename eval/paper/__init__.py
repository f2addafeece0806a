"""The EnCodec paper's tables beside our figures."""
