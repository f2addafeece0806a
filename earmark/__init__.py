"""Earmark: objective metrics and listening tests for audio codecs."""
