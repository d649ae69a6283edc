"""What a resource consists of: the one table from which the rest is derived."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return EMPTY


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One attribute of a resource.

    :ivar name: as clients see it; what a value of the contract calls it too,
        unless ``value`` says otherwise.
    :ivar type: a type of JSON schema; '' if ``rules`` say it all.
    :ivar nullable: it may be null.
    :ivar enum: the values that there are; null comes on top if it is ``nullable``.
    :ivar rules: further keywords of JSON schema.
    :ivar read_only: only the service sets it.
    :ivar create: may a request that creates the resource carry it?
    :ivar patch: may a patch replace it?
    :ivar filter: how a listing may ask for it.  ``text``: a value, ``eq:`` or
        ``in:``; ``exact``: a value; ``number``: a value, or at least or at
        most one; ``time``: a time with a comparison; ``flag``: true or false;
        ``choice``: one of the enum.  None: not at all.
    :ivar sort: may a listing be sorted by it?
    :ivar value: the contract's name for it; None if no field holds it.
    """

    name: str
    type: str = 'string'
    description: str = ''
    nullable: bool = False
    enum: tuple[str, ...] = ()
    rules: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    read_only: bool = False
    create: bool = False
    patch: bool = False
    filter: str | None = None
    sort: bool = False
    value: str | None = ''

    @property
    def source(self) -> str | None:
        """The field of the contract's value that holds it."""
        return self.name if self.value == '' else self.value

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its value."""
        found: dict[str, Any] = {}
        if self.type:
            found['type'] = ['null', self.type] if self.nullable else self.type
        if self.read_only:
            found['readOnly'] = True
        if self.description:
            found['description'] = self.description
        if self.enum:
            found['enum'] = [None, *self.enum] if self.nullable else list(self.enum)
        found.update(self.rules)
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A resource, or a collection of them, as its schema document describes it.

    :ivar additional: schema of attributes that have no field, or False if
        there can be none; None leaves the document silent about it.
    :ivar definitions: schemas that fields refer to.
    :ivar links: relation -> the attribute that holds the link.
    """

    name: str
    fields: tuple[Field, ...]
    additional: Any = None
    definitions: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    required: tuple[str, ...] = ()
    links: Mapping[str, str] = dataclasses.field(default_factory=_nothing)

    def named(self, name: str) -> Field:
        """The field of that name; ``KeyError`` if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)
