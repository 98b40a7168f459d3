"""Parley: a gateway between people on chat platforms and an LLM agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.manager import SessionManager as SessionManager

__version__ = "0.1.0"
__all__ = ["SessionManager", "__version__"]


def __getattr__(name: str) -> object:
    # On demand: whoever wants only the version, or --help, does not wait for the rest.
    if name == "SessionManager":
        from gateway.manager import SessionManager

        return SessionManager
    raise AttributeError(f"module 'gateway' has no attribute {name!r}")
