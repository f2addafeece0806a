"""The two versions of the .ecdc container, and what they share; codec/ecdc.py is the way in."""
