"""Row writer: how do the rows of a task and the values that they point to come together?"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mahals.phase import Lab
from mahals.phases.collaboration.rows import Row


@dataclass
class Book:
    """Rows of a task, and the values that they point to."""

    part: str
    tensors: dict[str, torch.Tensor]
    rows: list[Row]

    def enter(self, row: Row, found: object, value: float | None = None) -> None:
        """Adds a row with its values (n, m); `value` None: their mean."""
        values = torch.as_tensor(found, dtype=torch.float64)
        cell = f"{len(self.tensors)}"
        self.tensors[cell] = values
        mean = float(values.mean()) if value is None else value
        self.rows.append(Row(**{**vars(row), "cell": cell, "value": mean}))

    def kept(self, lab: Lab) -> list[Row]:
        """The rows, their values kept in one file."""
        if not self.tensors:
            return self.rows
        name = lab.keep(f"{self.part}.safetensors", self.tensors)
        rows = [vars(r) | {"kept": name} if r.cell is not None else vars(r) for r in self.rows]
        return [Row(**row) for row in rows]
