"""Rows of esr_random: what is known of one answer with a set of latents held?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
