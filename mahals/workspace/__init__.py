"""Where does the study live: its settings, registry, fingerprints and results on disk?"""

from mahals.workspace.closure import code_closure, code_digest
from mahals.workspace.fingerprint import Machine, Resolver, fingerprint, units_of
from mahals.workspace.kept import KeptFiles, KeptPlace
from mahals.workspace.place import Workspace
from mahals.workspace.registry import load_registry
from mahals.workspace.results import Results, all_results, find
from mahals.workspace.settings import Settings, effective, is_canonical, load_settings

__all__ = [
    "KeptFiles",
    "KeptPlace",
    "Machine",
    "Resolver",
    "Results",
    "Settings",
    "Workspace",
    "all_results",
    "code_closure",
    "code_digest",
    "effective",
    "find",
    "fingerprint",
    "is_canonical",
    "load_registry",
    "load_settings",
    "units_of",
]
