"""Is a speed told per parameter, and what is measured what a study does?"""

from mahals.models.checkpoints.device import CPU
from mahals.models.generation import speed
from mahals.models.generation.speed import Speed, measured_speed


def test_seconds_are_parameters_times_tokens_over_the_speed():
    at = Speed(read=2e9, written=1e8)
    assert at.seconds(4e9, 0) == 2 and at.seconds(0, 1e9) == 10 and at.seconds(4e9, 1e9) == 12


def test_it_is_measured_by_reading_and_by_writing(monkeypatch):
    monkeypatch.setattr(speed, "SHAPE", {**speed.SHAPE, "num_hidden_layers": 2})
    monkeypatch.setattr(speed, "READ", 4)
    monkeypatch.setattr(speed, "ROWS", 2)
    monkeypatch.setattr(speed, "NEW", 3)
    found = measured_speed(CPU)
    assert found.read > found.written > 0, "one token at a time is slower"
