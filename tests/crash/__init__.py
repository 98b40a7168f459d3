"""Proof by kill -9: real processes, real files, real HTTP; see `python -m tests.crash --help`."""
