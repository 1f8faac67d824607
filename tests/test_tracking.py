"""Does MLflow show each result once, whole, and load back the very vector that was kept?"""

from __future__ import annotations

import subprocess
import sys

# Where it goes


# Runs


# The run of `mlflow run`


# Vectors


def test_importing_mahals_is_light() -> None:
    code = "import sys, mahals; print(sorted({'mlflow', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
