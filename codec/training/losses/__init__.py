"""Losses of the generator and the discriminators, and the balancer."""
