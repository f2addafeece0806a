"""One run: recordings x systems x metrics."""
