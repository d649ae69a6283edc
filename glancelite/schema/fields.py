"""Tables of the attributes of resources, from which schemas, filters and sort keys follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One attribute of a resource.

    :ivar name: name in JSON.
    :ivar type: a type of JSON schema; '' if ``rules`` are the complete schema.
    :ivar nullable: it may be null.
    :ivar enum: the allowed values, without null.
    :ivar rules: further keywords of JSON schema.
    :ivar read_only: only the service sets it.
    :ivar create: a request that creates the resource may set it.
    :ivar patch: a patch may replace it.
    :ivar filter: how listings can be filtered by it.  ``text``: a value, ``eq:`` or
        ``in:``; ``exact``: a value; ``number``: a value, a minimum or a maximum;
        ``time``: a time with a comparison; ``flag``: true or false; ``choice``: one of
        the enum.  None: they cannot.
    :ivar sort: listings can be sorted by it.
    :ivar value: field of the contract's value that holds it; '' if it has the same
        name, None if there is none.
    """

    name: str
    type: str = 'string'
    description: str = ''
    nullable: bool = False
    enum: tuple[str, ...] = ()
    rules: Mapping[str, Any] = dataclasses.field(default_factory=_empty)
    read_only: bool = False
    create: bool = False
    patch: bool = False
    filter: str | None = None
    sort: bool = False
    value: str | None = ''

    @property
    def source(self) -> str | None:
        """Field of the contract's value that holds it; None if there is none."""
        return self.name if self.value == '' else self.value

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of its value."""
        schema: dict[str, Any] = {}
        if self.type:
            schema['type'] = ['null', self.type] if self.nullable else self.type
        if self.read_only:
            schema['readOnly'] = True
        if self.description:
            schema['description'] = self.description
        if self.enum:
            schema['enum'] = [None, *self.enum] if self.nullable else list(self.enum)
        schema.update(self.rules)
        return schema


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A resource, as its schema document describes it.

    :ivar additional: ``additionalProperties`` of the document; None leaves it out.
    :ivar definitions: schemas that fields refer to.
    :ivar links: relation -> the attribute that holds the link.
    """

    name: str
    fields: tuple[Field, ...]
    additional: Any = None
    definitions: Mapping[str, Any] = dataclasses.field(default_factory=_empty)
    required: tuple[str, ...] = ()
    links: Mapping[str, str] = dataclasses.field(default_factory=_empty)
