"""Python's garbage collector, told what this process is like: much is imported once and stays for good."""

import gc

# New objects before the young ones are looked through, and rounds before the older ones are. With Python's own 700
# it does so 400 times while all is imported; rarely, the SDKs' import takes a seventh less (bench/RESULTS.md).
THRESHOLDS = (10_000, 20, 50)


def grow() -> None:
    """Before the imports: look through them rarely."""
    gc.set_threshold(*THRESHOLDS)


def settle() -> None:
    """After them: never again, or a full round would hold every answer up for a tenth of a second."""
    gc.freeze()
