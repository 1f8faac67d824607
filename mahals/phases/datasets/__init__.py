"""Which texts is the study measured on, and are safe and unsafe ones alike in length?"""

from mahals.phases.datasets.measure import PHASE as PHASE
