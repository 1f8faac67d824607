"""Where do tasks run?"""

from mahals.engines.local import ENGINES, Handler, Job, LocalPool, open_pool
from mahals.engines.workers import WORKER, Report, TaskError, prepare_to_fork

__all__ = [
    "ENGINES",
    "WORKER",
    "Handler",
    "Job",
    "LocalPool",
    "Report",
    "TaskError",
    "open_pool",
    "prepare_to_fork",
]
