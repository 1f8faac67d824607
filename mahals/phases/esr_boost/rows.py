"""Rows of esr_boost: what is known of one answer at one level of steering?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
