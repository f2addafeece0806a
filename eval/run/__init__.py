"""Changing, joining and cleaning finished runs."""
