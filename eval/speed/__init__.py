"""Speed, latency and memory of codecs."""
