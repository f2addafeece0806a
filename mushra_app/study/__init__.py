"""A listening test: its items, conditions, pages and questions."""
