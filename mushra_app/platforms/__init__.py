"""Crowd platforms' APIs: publish a study, list, approve and reject submissions, pay bonuses."""
