"""Packaging: does what is installed say that it is typed, and promise nothing that is not there?"""

import re
import tomllib
from importlib import resources

from tests.support.places import ROOT


def test_the_package_says_that_it_is_typed() -> None:
    marker = resources.files("mahals").joinpath("py.typed")
    assert marker.is_file() and not marker.read_bytes()


def test_every_extra_is_used() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    files = [
        *(ROOT / "mahals").rglob("*.py"),
        *(
            path
            for path in (ROOT / "tests").rglob("test_*.py")
            if path.name != "test_project.py" and path.parent.name != "project"
        ),
    ]
    text = "\n".join(path.read_text() for path in files)
    for extra, packages in extras.items():
        for package in packages if extra != "dev" else ():
            name = re.split(r"[<>=]", package)[0].replace("-", "_")
            assert re.search(rf"\b{name}\b", text), f"nothing here uses {name} of the extra {extra}"
