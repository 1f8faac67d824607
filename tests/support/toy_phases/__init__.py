"""Phases small enough to run a whole study in a second, for tests of the runner and workspace."""

NAMES = ("words", "grow", "cross")
