"""The bill against what the providers counted: whoever makes a load, the same reckoning judges it."""
