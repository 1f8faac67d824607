"""How far apart does each model hold safe and unsafe prompts, and is it above its floors?"""

from mahals.phases.baseline_aqi.measure import PHASE as PHASE
