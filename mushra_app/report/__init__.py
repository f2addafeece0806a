"""The report of a listening test."""
