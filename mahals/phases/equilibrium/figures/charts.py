"""Charts: what does each cell pay, where does play drift to, and which equilibria hold?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.maths.games.analysis import Analysis, Equilibrium
from mahals.maths.games.game import Game, replies, supports
from mahals.maths.games.game import unit_payoffs as unit
from mahals.maths.games.replicator import ReplicatorPath, symmetric
from mahals.maths.stats.intervals import Floats
from mahals.phases.equilibrium.report import describe
from mahals.records import InputError
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.sheet import (
    COLOURS,
    INK,
    SOFT,
    TEXT,
    Estimates,
    Labels,
    check_given,
    finish,
    sheet,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 12
STAR = "\u2605"
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # of a triangle of shares


def payoff_heatmaps(game: Game, points: Sequence[Equilibrium], labels: Labels) -> Figure:
    """A panel per player: rows are the first player's actions, columns the second's.

    Pure equilibria are outlined with a star. With more players there is a row of panels for each
    joint action of the third and later ones. Raises InputError for more than 12 panels.
    """
    from matplotlib.patches import Rectangle

    rest = list(np.ndindex(*game.shape[2:]))
    if len(rest) * len(game.players) > PANELS:
        raise _not_drawn("payoff heatmaps", f"at most {PANELS} panels", str(game.shape))
    stars = {tuple(own[0] for own in supports(p.profile)) for p in points if p.kind == "pure"}
    wide = max(2.9, 1.0 + 0.75 * game.shape[1])
    size = (wide * len(game.players), max(1.8, 0.9 + 0.42 * game.shape[0]) * len(rest))
    figure = sheet(max(5.0, size[0]), size[1])
    panels = figure.subplots(len(rest), len(game.players), squeeze=False)
    low, high = float(game.payoffs.min()), float(game.payoffs.max())
    for (row, others), i in itertools.product(enumerate(rest), range(len(game.players))):
        axes, paid = panels[row, i], game.payoffs[(i, slice(None), slice(None), *others)]
        image = axes.imshow(paid, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for a, b in np.ndindex(*paid.shape):
            good = (a, b, *others) in stars
            text = f"{paid[a, b]:z.2f}" + (f" {STAR}" if good else "")
            _write(axes, image, (a, b), text, good)
            if good:
                box = Rectangle((b - 0.47, a - 0.46), 0.94, 0.92, fill=False, edgecolor="#d55e00")
                box.set(linewidth=2.2, gid="equilibrium")
                axes.add_patch(box)
        held = [f"{game.players[k + 2]} {game.actions[k + 2][o]}" for k, o in enumerate(others)]
        _frame(axes, game, "\n".join([f"payoff of {game.players[i]}", *held]))
        if i == 0:
            axes.set_ylabel(f"action of\n{game.players[0]}", size=TEXT, color=INK)
    bar = figure.colorbar(image, ax=panels, fraction=0.03, pad=0.015)
    bar.ax.tick_params(labelsize=TEXT, colors=INK, length=2)
    bar.outline.set_visible(False)
    bar.set_label(labels.value_axis(True), size=TEXT, color=INK)
    note = f" {STAR} pure equilibrium." if stars else " No pure equilibrium."
    return finish(figure, labels, note, {})


def _write(axes: Any, image: Any, cell: tuple[int, int], text: str, bold: bool) -> None:
    red, green, blue, _ = image.cmap(image.norm(image.get_array()[cell]))
    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
    axes.text(
        cell[1], cell[0], text, size=TEXT, ha="center", va="center",
        color="white" if dark else "black", weight="bold" if bold else "normal",
    )  # fmt: skip


def _frame(axes: Any, game: Game, title: str) -> None:
    axes.set_xticks(range(game.shape[1]), game.actions[1])
    axes.set_yticks(range(game.shape[0]), game.actions[0])
    style(axes, "none")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, size=TEXT, weight="bold", color=INK, loc="left", pad=3)
    axes.set_xlabel(f"action of {game.players[1]}", size=TEXT, color=INK)


def portraits(
    game: Game, points: Sequence[Equilibrium], paths: Sequence[ReplicatorPath], labels: Labels
) -> Figure:
    """Two players with two actions each: best replies on the left, replicator flow on the right.

    The axes are the shares of each player's second action. Filled marks are evolutionarily
    stable equilibria, open ones are not. Raises InputError for any other shape of game.
    """
    if game.shape != (2, 2):
        raise _not_drawn("portraits", "two players with two actions each", str(game.shape))
    figure = sheet(7.0, 3.8)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    keys = _best_replies(left, unit(game), game)
    _flow(right, unit(game))
    for path in paths:
        x, y = path.mixes[0][:, 1], path.mixes[1][:, 1]
        (line,) = right.plot(x, y, color=COLOURS[2], linewidth=1.5, zorder=3)
        right.plot(x[:1], y[:1], color=COLOURS[2], marker=".", markersize=6, zorder=3)
        keys.setdefault("replicator path (dot: start)", line)
    for axes, name in ((left, "best replies"), (right, "replicator dynamics")):
        for point in points:
            (mark,) = axes.plot(
                point.profile[0][1], point.profile[1][1], "o", markersize=9, color="#000000",
                markerfacecolor="#000000" if point.evolutionary.stable else "white", zorder=5,
                clip_on=False,
            )  # fmt: skip
            kind = "" if point.evolutionary.stable else "not "
            keys.setdefault(f"equilibrium, {kind}evolutionarily stable", mark)
        style(axes, "both")
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=6)
        share = f"share of {game.actions[0][1]} in {game.players[0]}"
        axes.set_xlabel(share, size=TEXT, color=INK)
    left.set_ylabel(f"share of {game.actions[1][1]} in {game.players[1]}", size=TEXT, color=INK)
    return finish(figure, labels, "", keys)


def _best_replies(axes: Any, payoffs: Floats, game: Game) -> dict[str, Any]:
    """The best-reply sets of both players, as steps over the other's share."""
    other = np.linspace(0, 1, 2001)
    keys = {}
    for i in (0, 1):
        mixes = [(np.array([1 - s, s]), np.array([1 - s, s])) for s in other]
        gains = np.array([(r := replies(payoffs, m)[i])[1] - r[0] for m in mixes])
        own = np.where(np.abs(gains) < 1e-9, np.nan, (gains > 0).astype(float))
        if np.isnan(own).all():  # a player to whom its own action makes no difference
            area = axes.axvspan(0, 1, color=COLOURS[i], alpha=0.12, linewidth=0)
            keys[f"best replies of {game.players[i]}: any"] = area
            continue
        known = ~np.isnan(own)
        x, y = (own[known], other[known]) if i == 0 else (other[known], own[known])
        look = {"color": COLOURS[i], "linewidth": 3.0 - i, "linestyle": ("-", "--")[i]}
        (line,) = axes.plot(x, y, zorder=3, clip_on=False, **look)
        keys[f"best replies of {game.players[i]}"] = line
    return keys


def _flow(axes: Any, payoffs: Floats) -> None:
    """Arrows of the replicator dynamics, all of one length; their shade is the speed."""
    grid = np.linspace(0.06, 0.94, 11)
    x, y = np.meshgrid(grid, grid)
    moves = np.empty((2, *x.shape))
    for place in np.ndindex(*x.shape):
        p, q = x[place], y[place]
        gains = replies(payoffs, (np.array([1 - p, p]), np.array([1 - q, q])))
        moves[0][place] = p * (1 - p) * (gains[0][1] - gains[0][0])
        moves[1][place] = q * (1 - q) * (gains[1][1] - gains[1][0])
    speed = np.hypot(*moves)
    unit_moves = moves / np.where(speed > 1e-12, speed, 1.0)
    axes.quiver(
        x, y, *unit_moves, speed, cmap="Greys", clim=(-0.5 * max(speed.max(), 1e-9), speed.max()),
        angles="xy", scale=17, width=0.006, zorder=2,
    )  # fmt: skip


def simplex_portrait(
    game: Game, points: Sequence[Equilibrium], paths: Sequence[ReplicatorPath], labels: Labels
) -> Figure:
    """Three actions each: replicator paths in the triangle of shares, a triangle per player.

    A symmetric game of two is one population and has one triangle, with its symmetric equilibria
    alone. Raises InputError unless every player has three actions.
    """
    if set(game.shape) != {3}:
        raise _not_drawn("simplex portrait", "three actions of every player", str(game.shape))
    one = symmetric(game)
    players = (0,) if one else range(len(game.players))
    shown = [p for p in points if not one or np.abs(p.profile[0] - p.profile[1]).max() <= 1e-6]
    figure = sheet(4.8 if one else 3.5 * len(players), 3.7 if one else 3.1)
    panels = figure.subplots(1, len(players), squeeze=False)[0]
    keys: dict[str, Any] = {}
    for player, axes in zip(players, panels, strict=True):
        _triangle(axes, game.actions[player])
        for number, path in enumerate(paths):
            track = path.mixes[player] @ CORNERS
            (line,) = axes.plot(*track.T, color=COLOURS[number % len(COLOURS)], linewidth=1.3)
            axes.plot(*track[0], ".", color=line.get_color(), markersize=8)
            _arrow(axes, track, line.get_color())
            keys.setdefault("replicator path (dot: start)", line)
        for point in shown:
            stable = point.evolutionary.stable
            (mark,) = axes.plot(
                *(point.profile[player] @ CORNERS), "o", markersize=9, zorder=5, color="black",
                markerfacecolor="black" if stable else "white",
            )  # fmt: skip
            keys.setdefault(f"equilibrium, {'' if stable else 'not '}evolutionarily stable", mark)
        if not one:
            name = f"shares of {game.players[player]}"
            axes.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=3)
    return finish(figure, labels, "", keys)


def _triangle(axes: Any, actions: Sequence[str]) -> None:
    """The triangle of shares; each corner is one action alone."""
    axes.set_axis_off()
    axes.set(aspect="equal", xlim=(-0.16, 1.16), ylim=(-0.12, 0.98))
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color=SOFT, linewidth=0.8)
    for name, at, side in zip(actions, CORNERS, ("top", "top", "bottom"), strict=True):
        drop = 0.05 if side == "bottom" else -0.05
        axes.text(at[0], at[1] + drop, name, size=TEXT, ha="center", va=side, color=INK)


def _arrow(axes: Any, track: Floats, colour: str) -> None:
    """An arrow a third of the way along the track, by length."""
    gone = np.r_[0.0, np.cumsum(np.hypot(*np.diff(track, axis=0).T))]
    if gone[-1] < 0.02:
        return
    at = max(1, min(int(np.searchsorted(gone, min(gone[-1] / 3, 0.5))), len(track) - 1))
    head = {"arrowstyle": "->", "color": colour, "lw": 1.4}
    axes.annotate("", track[at], track[at - 1], arrowprops=head)


def stability_bars(games: Mapping[str, Analysis], labels: Labels) -> Figure:
    """A bar per equilibrium of each game: the share of redrawn payoffs in which it is one again.

    Whiskers are the interval from the number of redraws alone; a mark is the share by chance, of
    pure ones. A game called "" is not named. Raises InputError when there is no equilibrium or one
    was not redrawn.
    """
    every = [(name, found, point) for name, found in games.items() for point in found.points]
    check_given("equilibria", every)
    shares = [point.stability for _, _, point in every if point.stability is not None]
    if len(shares) < len(every):
        raise _not_drawn("stability bars", "a stability share of every equilibrium", "none")
    intervals = [s.share for s in shares]
    measured = Estimates.of(intervals)
    names = [
        f"{name}: {describe(found.game, point.profile)}".removeprefix(": ")
        for name, found, point in every
    ]
    return bars_with_intervals(names, measured, labels, {"by chance": [s.chance for s in shares]})


def _not_drawn(what: str, expected: str, got: str) -> InputError:
    return InputError(
        f"figure: {what}", expected=expected, got=got, cure="draw it for a game of that shape"
    )
