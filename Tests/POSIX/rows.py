"""What a row is: a world, a user, and the steps that this user takes in it."""

import dataclasses
import importlib
import pkgutil

import tables
from names import Descriptor


@dataclasses.dataclass(frozen=True)
class Step:
    """One call. `keep` names the descriptor that it returns. `by` is who makes it, if not the row's
    user. `other` has a second process make it."""

    call: str
    arguments: tuple
    keep: str = "fd"
    by: str = None
    other: bool = False

    def __str__(self):
        text = f"{self.call}({', '.join(map(shown, self.arguments))})"
        return text + (f" by {self.by}" if self.by else "") + (" elsewhere" if self.other else "")


@dataclasses.dataclass(frozen=True)
class Row:
    world: object
    user: str
    steps: tuple
    table: str = ""

    @property
    def name(self):
        steps = "; ".join(map(str, self.steps))
        return f"{self.table}: {steps} [{self.world.label}] as {self.user}"


def shown(value):
    if isinstance(value, (str, bytes)) and not isinstance(value, Descriptor) and len(value) > 60:
        return f"{value[:12]!r}…({len(value)} bytes)"
    return repr(value)


def do(call, *arguments, keep="fd", by=None, other=False):
    return Step(call, arguments, keep, by, other)


def root(call, *arguments, keep="fd"):
    return Step(call, arguments, keep, "root")


def row(world, user, *steps):
    return Row(world, user, steps)


FD = Descriptor("fd")


def every_row():
    """All rows of all tables, each once, those of one world together."""
    found = {}
    for module in sorted(item.name for item in pkgutil.iter_modules(tables.__path__)):
        for made in importlib.import_module(f"tables.{module}").rows():
            key = (made.world.entries, made.user, made.steps)
            if repr(key) not in found:
                found[repr(key)] = dataclasses.replace(made, table=module)
    worlds = {}
    for made in found.values():
        worlds.setdefault(made.world.entries, []).append(made)
    return [made for group in worlds.values() for made in group]
