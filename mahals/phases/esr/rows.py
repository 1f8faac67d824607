"""Rows of esr: what is known of one answer of one subject in one situation?"""

from mahals.maths.metrics.resistance import ResistanceTrial

Row = ResistanceTrial
