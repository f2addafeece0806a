"""Corpus -> systems -> scores -> tables, plots and report."""
