"""SAE: what do reading and clamping latents cost beside their matrix products alone?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Page, interleaved, ratio, timed
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.saes.clamping import Clamp, clamp

BAR = Bar("<=", 1.2)
TOKENS, WIDTH, LATENTS = 2048, 768, 16_384
CLAMPED = (16, 256)  # latents clamped at once
PRODUCTS = "its products"
REPEATS = 20  # clamps timed together: one takes milliseconds
CALM = 4  # times as many rounds of clamps alone as of others: these are short


def planted(activation: str, width: int, latents: int) -> Sae:
    """Random weights; b_dec is subtracted from the input."""
    rng = torch.Generator().manual_seed(0)
    w_enc = torch.randn(width, latents, generator=rng) / width**0.5
    b_enc, b_dec = (0.1 * torch.randn(n, generator=rng) for n in (latents, width))
    if activation == "relu":
        return Sae(w_enc, b_enc, w_enc.T.contiguous(), b_dec, "relu", True)
    threshold = torch.rand(latents, generator=rng)
    return Sae(w_enc, b_enc, w_enc.T.contiguous(), b_dec, "jumprelu", True, threshold)


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    """`work`, so many times."""

    def run() -> None:
        for _ in range(times):
            work()

    return run


def products(states: Tensor, columns: Tensor, rows: Tensor, *, add: bool) -> Tensor:
    """The two matrix products of a clamp, the second one added to the states or not."""
    made = states @ columns
    return torch.addmm(states, made, rows) if add else made @ rows


@torch.no_grad()
def measure(options: setting.Options) -> Page:
    """Ratios of encode and clamp over their products, for two activation functions."""
    page = Page("sae", str(__doc__), setting.machine())
    tokens, width, latents = (32, 16, 512) if options.tiny else (TOKENS, WIDTH, LATENTS)
    states = torch.randn(tokens, width, generator=torch.Generator().manual_seed(1))
    group = f"{tokens} tokens, d {width}, {latents} latents"
    for activation in ("relu", "jumprelu"):
        sae = planted(activation, width, latents)
        jobs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "encode": (lambda s=sae: encode(s, states), lambda s=sae: states @ s.w_enc)  # type: ignore[misc]
        }
        jobs[f"encode, and clamp of {CLAMPED[0]} of them"] = both(sae, states, CLAMPED[0])
        for count in CLAMPED:
            jobs[f"clamp of {count} in place"] = clamping(sae, states, count, new=False)
            jobs[f"clamp of {count} into new states"] = clamping(sae, states, count, new=True)
            added = clamping(sae, states, count, new=True, add=True)
            jobs[f"clamp of {count} into new states / the states with {PRODUCTS}"] = added
        for what, (ours, limit) in jobs.items():
            ours(), limit()  # the first call of a shape prepares
            rounds = options.rounds * (CALM if what.startswith("clamp") else 1)
            times = interleaved({"ours": timed(ours), "limit": timed(limit)}, rounds)
            name = f"{activation}: {what}" if "/" in what else f"{activation}: {what} / {PRODUCTS}"
            bar = None if what.endswith("new states") else BAR  # the products alone write less
            page.lines.append(ratio(group, name, (times["ours"], times["limit"]), bar))
    page.notes.append(
        f"A clamp and its products use columns and rows taken out before; {REPEATS} are timed "
        "together. New states are read and written once more than by two products alone: beside "
        "them stands the limit in which the second is added to the states (addmm). b_dec is "
        "subtracted from the input in all."
    )
    return page


def both(sae: Sae, states: Tensor, count: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Encoding all latents and clamping some of them, and the two products of that."""
    at = torch.arange(count) * (sae.w_dec.shape[0] // count)
    values, rows = torch.ones(count), sae.w_dec[at]
    made = torch.randn(len(states), count, generator=torch.Generator().manual_seed(2))

    def ours() -> object:
        found = encode(sae, states)
        return found, clamp(sae, states, at, values, found)

    return ours, lambda: (states @ sae.w_enc, made @ rows)


def clamping(
    sae: Sae, states: Tensor, count: int, *, new: bool, add: bool = False
) -> tuple[Callable[[], object], Callable[[], object]]:
    """A clamp of `count` latents spread over all, and its two products, or the states with them."""
    at = torch.arange(count) * (sae.w_dec.shape[0] // count)
    columns, rows = sae.w_enc[:, at].contiguous(), sae.w_dec[at]
    held, own = Clamp(sae, at, torch.ones(count)), states.clone()
    ours = repeated(lambda: held.made(own) if new else held.into(own), REPEATS)
    return ours, repeated(lambda: products(states, columns, rows, add=add), REPEATS)


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
