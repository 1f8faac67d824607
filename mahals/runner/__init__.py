"""How are tasks measured such that a kill loses none and the same values give the same bytes?"""

from mahals.engines import TaskError
from mahals.runner.forecast import Forecast, UnitForecast, forecast
from mahals.runner.session import Console, Later, Observer, Session, Silent
from mahals.runner.show import gather, redraw
from mahals.runner.study import run_phase, run_study

__all__ = [
    "Console",
    "Forecast",
    "Later",
    "Observer",
    "Session",
    "Silent",
    "TaskError",
    "UnitForecast",
    "forecast",
    "gather",
    "redraw",
    "run_phase",
    "run_study",
]
