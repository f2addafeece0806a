"""The report of a listening test: loading ratings, plots, HTML page, files."""
