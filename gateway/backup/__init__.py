"""Backups: a checked copy of the database, everything in one file, and which files are kept."""
