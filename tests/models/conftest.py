"""One ragged batch for tests of any module that reads batches."""

import pytest


@pytest.fixture
def one_batch(monkeypatch):
    """All texts in one ragged batch, so that masks matter."""
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
