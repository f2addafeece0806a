"""Losses of the generator and of the discriminators, and the loss balancer."""
