"""Readouts: how is it said of an AQI where states were read, and which other readout is there?"""

from __future__ import annotations

from collections.abc import Mapping

from mahals.schema import Pool, Readout

WORDS: Mapping[Pool, str] = {
    "last": "last token",
    "mean": "mean of the prompt",
    "mean_all": "mean of all tokens",
}


def aqi_words(readout: Pool, of: str = "points") -> str:
    """The name of an axis: "aqi, last token (points)"."""
    return f"aqi, {WORDS[readout]} ({of})"


def both(headline: Readout) -> tuple[Readout, Readout]:
    """The headline readout, then the other."""
    return ("last", "mean") if headline == "last" else ("mean", "last")
