"""Packaging: does what is installed say that it is typed?"""

from importlib import resources


def test_the_package_says_that_it_is_typed() -> None:
    marker = resources.files("mahals").joinpath("py.typed")
    assert marker.is_file() and not marker.read_bytes()
