"""Scores of audio that something else decoded: pairs of files, their alignment, and lists of pairs."""
