"""MLP map: does one hidden layer find what a straight map misses, and what is its linear part?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.rows import Sides

STEPS = 600
RATE = 0.01
PATIENCE = 6  # checks without a better validation error before it stops
CHECK_EVERY = 10
VALIDATION = 0.05  # of the fitted rows, whole clusters; the weights never see them


@dataclass(frozen=True)
class Mlp:
    """A network y = (tanh(x / s_x W_1 + b_1) W_2 + b_2) s_y of states about the fit's mean."""

    first: Floats  # (d_s, h)
    first_bias: Floats  # (h,)
    second: Floats  # (h, d_t)
    second_bias: Floats  # (d_t,)
    scale_source: Floats  # (d_s,)
    scale_target: Floats  # (d_t,)
    steps: int  # of the weights that are kept

    @property
    def width(self) -> int:
        """The hidden width h."""
        return len(self.first_bias)

    def __call__(self, states: Floats) -> Floats:
        """Target states (n, d_t) of source states (n, d_s), both about the fit's means."""
        found = self._hidden(states) @ self.second + self.second_bias
        return np.asarray(found * self.scale_target)

    def mean_jacobian(self, states: Floats) -> Floats:
        """The mean over `states` of d output / d input, (d_s, d_t): what moves a difference.

        A network has no linear part to move a difference vector by. Its mean derivative over the
        fitted rows is one: the average of how a small step along v at a real state moves the
        target's state. In closed form, as only the slope of tanh varies over states.
        """
        slope = (1 - self._hidden(states) ** 2).mean(axis=0)
        inner = (self.first * slope) @ self.second
        return np.asarray(inner * self.scale_target / self.scale_source[:, None])

    def _hidden(self, states: Floats) -> Floats:
        return np.asarray(np.tanh(states / self.scale_source @ self.first + self.first_bias))


def fit_mlp(sides: Sides, seed: int) -> Mlp:
    """One hidden layer of width round(sqrt(d_s d_t)), by full-batch Adam on standardised sides.

    It stops when the error on the validation rows has not fallen for PATIENCE checks, and keeps
    the weights of its least. The seed decides the first weights: two calls give one map.
    """
    scale_x, scale_y = _scale(sides.source), _scale(sides.target)
    x = torch.from_numpy(sides.source / scale_x).float()
    y = torch.from_numpy(sides.target / scale_y).float()
    seen = torch.from_numpy(trained_rows(sides))
    hidden = round(float(np.sqrt(x.shape[1] * y.shape[1])))
    weights = _start(x.shape[1], hidden, y.shape[1], seed)

    def error(rows: Tensor) -> Tensor:
        w1, b1, w2, b2 = weights
        found = torch.tanh(x[rows] @ w1 + b1) @ w2 + b2
        return (found - y[rows]).square().mean()

    kept, steps = _descend(weights, lambda: error(seen), lambda: error(~seen))
    first, first_bias, second, second_bias = (w.double().numpy() for w in kept)
    return Mlp(first, first_bias, second, second_bias, scale_x, scale_y, steps)


def _descend(
    weights: list[Tensor], loss: Callable[[], Tensor], check: Callable[[], Tensor]
) -> tuple[list[Tensor], int]:
    """The weights of the least validation error, and after how many steps they were reached."""
    descent = torch.optim.Adam(weights, lr=RATE, fused=True)
    least, kept, at = float("inf"), [w.detach().clone() for w in weights], 0
    for step in range(1, STEPS + 1):
        descent.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        descent.step()
        if step % CHECK_EVERY:
            continue
        with torch.no_grad():
            now = float(check())
        if now < least:
            least, kept, at = now, [w.detach().clone() for w in weights], step
        elif step - at >= PATIENCE * CHECK_EVERY:
            break
    return kept, at


def _start(d_s: int, hidden: int, d_t: int, seed: int) -> list[Tensor]:
    """First weights of unit-variance outputs, from the seed; biases are 0."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    first = torch.randn(d_s, hidden, generator=generator) / d_s**0.5
    second = torch.randn(hidden, d_t, generator=generator) / hidden**0.5
    found = [0.3 * first, torch.zeros(hidden), second, torch.zeros(d_t)]
    return [w.requires_grad_() for w in found]


def trained_rows(sides: Sides) -> npt.NDArray[np.bool_]:
    """Which fitted rows (n,) the weights see; whole clusters at the end validate instead.

    Clusters lie in blocks, in shuffled order.
    """
    first = len(sides.source) - max(1, round(VALIDATION * len(sides.source)))
    return np.asarray(sides.clusters < sides.clusters[first])


def _scale(centred: Floats) -> Floats:
    """The spread of each dimension; 1 where it does not vary."""
    spread = np.sqrt((centred**2).mean(axis=0))
    return np.where(spread > 0, spread, 1.0)
