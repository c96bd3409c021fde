"""Checks that a setting lies in its range."""

from __future__ import annotations

from s2d_edge.core.errors import ConfigError

# Beyond any training; what is larger is a typing error, and would end in an overflow or without memory.
MOST_COUNTED, MOST_LISTED, MOST_AT_ONCE, LARGEST = 10**9, 10**7, 10**4, 1e6


def within(low: float, high: float, owner: str = "", **values: float) -> None:
    """Check that every value lies in [low, high]; ``owner`` comes before its name in the message."""
    for name, value in values.items():
        if not low <= value <= high:  # NaN is in no range
            raise ConfigError(f"{owner}{name}={value} must lie in [{low:g}, {high:g}]")


def above(low: float, high: float, owner: str = "", **values: float) -> None:
    """Check that every value lies in (low, high]."""
    for name, value in values.items():
        if not low < value <= high:
            raise ConfigError(f"{owner}{name}={value} must lie in ({low:g}, {high:g}]")


def below(low: float, high: float, owner: str = "", **values: float) -> None:
    """Check that every value lies in [low, high)."""
    for name, value in values.items():
        if not low <= value < high:
            raise ConfigError(f"{owner}{name}={value} must lie in [{low:g}, {high:g})")
