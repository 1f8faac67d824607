"""How does what was measured show in MLflow: runs, registered vectors, the run of `mlflow run`?

Results on disk are the truth; MLflow shows them and can be made again from them.
"""

from mahals.tracking.invocation import Tracker, open_tracker
from mahals.tracking.runs import Published, mark_failed, publish
from mahals.tracking.store import Store, ensure_database, main_repository, tracking_uri
from mahals.tracking.stored import StoredVector, VectorConfig, export_pth
from mahals.tracking.vectors import choose_champion, load_vector, register_vectors

__all__ = [
    "Published",
    "Store",
    "StoredVector",
    "Tracker",
    "VectorConfig",
    "choose_champion",
    "ensure_database",
    "export_pth",
    "load_vector",
    "main_repository",
    "mark_failed",
    "open_tracker",
    "publish",
    "register_vectors",
    "tracking_uri",
]
