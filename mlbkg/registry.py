"""Families of implementations that are looked up by name, and the strict frozen base of their parameters."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from mlbkg.errors import UnknownNameError, did_you_mean

__all__ = ["Discriminator", "Field", "Params", "Registry", "Tag"]

T = TypeVar("T")


class Params(BaseModel):
    """Frozen settings: unknown keys are errors, and nothing is converted that was not meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Registry(Generic[T]):
    """Names to implementations of one kind, filled by importing every module of ``package`` at the first look-up.

    A new implementation is one new file in the package's folder that calls :meth:`add`; another distribution adds its own
    through the entry-point group ``mlbkg.<kind>`` (the entry point names a module to import).
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self._package = package
        self._items: dict[str, T] = {}
        self._discovered = False

    def add(self, name: str, item: T) -> T:
        """Register ``item``; a second item of the same name is refused."""
        if name in self._items:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """:meth:`add` as a decorator."""
        return lambda item: self.add(name, item)

    def names(self) -> tuple[str, ...]:
        self._discover()
        return tuple(sorted(self._items))

    def __getitem__(self, name: str) -> T:
        """The implementation called ``name``. Raises :class:`UnknownNameError` with the nearest name."""
        self._discover()
        if name not in self._items:
            raise UnknownNameError(
                f"unknown {self.kind} '{name}'{did_you_mean(name, self._items)}",
                where=name,
                hint=f"Known: {', '.join(self.names())}",
            )
        return self._items[name]

    def find(self, name: str) -> T | None:
        """The implementation called ``name``, or None."""
        self._discover()
        return self._items.get(name)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry in entry_points(group=f"mlbkg.{self.kind}"):
            entry.load()
