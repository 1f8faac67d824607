"""Plan: what does a dry run say of units, tasks, time, memory, tokens and room?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mahals.cli.tables import UNKNOWN, table

if TYPE_CHECKING:
    from mahals.harness.runner.forecast import Forecast, UnitForecast


def plan_page(plans: Sequence[Forecast], units: Sequence[str] | None) -> str:
    """The units of planned phases, each once, with tasks, time and room, and the sums."""
    from mahals.harness.runner.progress import duration

    seen: dict[tuple[str, str], UnitForecast] = {}
    for plan in plans:
        for item in (*plan.upstream, *plan.units):
            if units is None or item in plan.upstream or item.unit in units:
                seen[item.phase, item.unit] = item
    todo = [item for item in seen.values() if item.state != "complete"]
    hub = any(item.demand is not None for item in seen.values())
    rows = [
        (
            item.phase,
            item.unit,
            item.state,
            UNKNOWN if item.tasks is None else item.tasks,
            item.done,
            ", ".join(item.models),
            UNKNOWN if item.seconds is None else duration(item.seconds),
            f"{item.megabytes:.0f} MB",
            *_asked(item, hub),
        )
        for item in seen.values()
    ]
    heads = ("phase", "unit", "state", "tasks", "done", "models", "time", "disk")
    processes = min(plan.workers for plan in plans)
    total = f"{len(todo)} of {len(rows)} units to do on {processes} processes"
    seconds, room = sum(i.seconds or 0.0 for i in todo), sum(i.megabytes for i in todo)
    lines = [
        f"{total}: about {duration(seconds)}, {room:.0f} MB",
        *_of_checkpoints(todo, next((p.free for p in plans if p.free is not None), None)),
    ]
    shown = table((*heads, *(("memory", "read", "written") if hub else ())), rows)
    return f"{shown}\n\n" + "\n".join(lines)


def _asked(item: UnitForecast, hub: bool) -> tuple[str, ...]:
    """Memory of a process, tokens read and written; nothing where no real checkpoint is read."""
    if not hub:
        return ()
    if item.demand is None:
        return ("", "", "")
    tokens = (item.demand.read, item.demand.written)
    known = (UNKNOWN if n is None else f"{n / 1e3:,.0f} k" for n in tokens)
    return (f"{item.demand.memory / 1e9:.1f} GB", *known)


def _of_checkpoints(todo: Sequence[UnitForecast], free: int | None) -> list[str]:
    """What is to be fetched, what does not fit, and what is a guess or not known."""
    asked = [item.demand for item in todo if item.demand is not None]
    fetched = {i.models: i.demand.fetched for i in todo if i.demand is not None}
    single = sum(size for models, size in fetched.items() if len(models) == 1)
    lines = []
    most = max((demand.memory for demand in asked), default=0)
    if free is not None and most > free:
        cure = "use dtype: bfloat16, quantize: 4bit, a GPU, or smaller models"
        lines.append(f"a process needs {most / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: {cure}")
    if single or any(fetched.values()):
        size = single or max(fetched.values())
        lines.append(f"checkpoints that are not on this machine yet: about {size / 1e9:.0f} GB")
    if any(demand.guessed for demand in asked):
        lines.append("guessed where texts or checkpoints are not here yet: by usual sizes")
    if unknown := sum(demand.work is None for demand in asked):
        lines.append(f"not in these sums: the time and tokens of {unknown} units marked {UNKNOWN}")
    return lines
