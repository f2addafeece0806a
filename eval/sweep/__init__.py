"""Sweeps: trainings over a grid of settings and several seeds."""
