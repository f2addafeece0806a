"""Listening tests: study, web app, ratings, screening, statistics."""
