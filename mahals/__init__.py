"""Package mahals: what is it?

A benchmark harness for multi-agent alignment by latent steering.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahals.harness.tracking.registered_vectors import load_vector

__version__ = "0.1.0"
__all__ = ["__version__", "load_vector"]


def __getattr__(name: str) -> Any:
    """`mahals.load_vector`, imported only when it is asked for."""
    if name == "load_vector":
        from mahals.harness.tracking.registered_vectors import load_vector

        return load_vector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
