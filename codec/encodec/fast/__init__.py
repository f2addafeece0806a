"""The same network, faster on a CPU."""
