"""Listeners and ratings in a database."""
