"""Which joint choices of agents hold by themselves, and how sure is that?"""

from mahals.games.additive import Additive, additive_fit
from mahals.games.analysis import Analysis, Point, Table, analyse, measured_games
from mahals.games.cells import (
    Cell,
    Design,
    Weights,
    check_cells,
    design,
    payoff,
    payoffs_of,
    redrawn_payoffs,
)
from mahals.games.evolution import (
    Course,
    Evolutionary,
    ReplicatorPath,
    evolutionarily_stable,
    replicator_path,
    symmetric,
)
from mahals.games.leading import Stackelberg, stackelberg
from mahals.games.play import (
    TOLERANCE,
    Game,
    Profile,
    exploitability,
    game_of,
    pure_equilibria,
    pure_profile,
    replies,
    supports,
    unit_payoffs,
    values,
)
from mahals.games.solvers import Mixed, Search, SolverRow, mixed_equilibria
from mahals.games.stability import (
    StabilityShare,
    Weighed,
    stability_shares,
    surviving,
    weight_sweep,
)
from mahals.games.supporting import on_supports
from mahals.games.welfare import Potential, PriceOfAnarchy, potential_test, price_of_anarchy

__all__ = [
    "TOLERANCE",
    "Additive",
    "Analysis",
    "Cell",
    "Course",
    "Design",
    "Evolutionary",
    "Game",
    "Mixed",
    "Point",
    "Potential",
    "PriceOfAnarchy",
    "Profile",
    "ReplicatorPath",
    "Search",
    "SolverRow",
    "StabilityShare",
    "Stackelberg",
    "Table",
    "Weighed",
    "Weights",
    "additive_fit",
    "analyse",
    "check_cells",
    "design",
    "evolutionarily_stable",
    "exploitability",
    "game_of",
    "measured_games",
    "mixed_equilibria",
    "on_supports",
    "payoff",
    "payoffs_of",
    "potential_test",
    "price_of_anarchy",
    "pure_equilibria",
    "pure_profile",
    "redrawn_payoffs",
    "replicator_path",
    "replies",
    "stability_shares",
    "stackelberg",
    "supports",
    "surviving",
    "symmetric",
    "unit_payoffs",
    "values",
    "weight_sweep",
]
