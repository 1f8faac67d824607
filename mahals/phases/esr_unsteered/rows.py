"""Rows of esr_unsteered: what is known of one unsteered answer?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
