"""Tests: does each module do what its first line says? Folders mirror those of the package."""
