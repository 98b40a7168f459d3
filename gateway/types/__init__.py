"""The vocabulary: frozen values that every part speaks in; no I/O, no SDK types.

Times are integer microseconds UTC since 1970; money is integer nano-dollars (1e-9 USD).
"""
