"""Pins: is a hash that is remembered that of the bytes that are there?"""

import hashlib
import os

from mahals.models.checkpoints.pins import Pins


def test_a_hash_is_remembered_while_size_and_time_stand(tmp_path):
    file, pins = tmp_path / "a", Pins(tmp_path / "pins.json")
    file.write_bytes(b"one")
    first, stand = pins.of_file(file), file.stat().st_mtime_ns
    file.write_bytes(b"two")
    os.utime(file, ns=(stand, stand))
    assert pins.of_file(file) == first == hashlib.sha256(b"one").hexdigest()
    os.utime(file, ns=(stand, stand + 1))
    assert pins.of_file(file) == hashlib.sha256(b"two").hexdigest()
