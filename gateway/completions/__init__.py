"""Whole histories that a chat program sends with each question, and the sessions they belong to."""
