"""Parley: a gateway between people on chat platforms and an LLM agent."""

__version__ = "0.1.0"
