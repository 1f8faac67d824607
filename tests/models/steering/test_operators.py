"""Do the operators do by hand what they say?"""

import torch

from mahals.models.steering.operators import ablate, add, add_preserve_norm


def test_operators_by_hand():
    h = torch.tensor([[[3.0, 4.0]]])
    v, s = torch.tensor([0.0, 2.0]), torch.tensor(1.5)
    assert torch.equal(add(h, v, s), torch.tensor([[[3.0, 7.0]]]))
    kept = add_preserve_norm(h, v, s)
    torch.testing.assert_close(kept, torch.tensor([[[3.0, 7.0]]]) * 5 / 58**0.5)
    assert torch.equal(ablate(h, v, torch.tensor(1.0)), torch.tensor([[[3.0, 0.0]]]))
    assert torch.equal(ablate(h, v, torch.tensor(2.0)), torch.tensor([[[3.0, -4.0]]]))
    gone = add_preserve_norm(h, -h[0, 0], torch.tensor(1.0))
    assert bool(torch.isfinite(gone).all())
