"""Objective metrics: one module each, one registry."""
