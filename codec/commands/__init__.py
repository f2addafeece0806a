"""The commands `earmark encode`, `earmark decode` and `earmark inspect`, and their work on files and folders."""
