"""Objective metrics, a module each; the registry lists them."""
