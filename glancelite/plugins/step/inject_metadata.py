"""Adds properties that the operator chose to imported images."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from glancelite import contract

#: longest name of a property
LONGEST = 255
QUOTES = '"\''
#: names that properties cannot have: the attributes that the API shows
ATTRIBUTES = frozenset(contract.IMAGE_FIELDS) - {'properties', 'revision', 'membership',
                                                 'attempt', 'lease_until'}


class InjectMetadata(contract.Step):
    """Sets the same properties on every imported image, except those of some roles."""

    SECTION = 'inject_metadata_properties'
    CHANGES_DATA = False
    OPTS = (
        cfg.DictOpt('inject', default={},
                    help='Properties that the step inject_metadata sets on imported images, '
                         'such as name1:value1,name2:value2. They replace properties of the '
                         'same names.'),
        cfg.ListOpt('ignore_user_roles', default=['admin'],
                    help='Images that are imported by users with one of these roles are left '
                         'alone by the step inject_metadata.'),
    )

    def __init__(self, options: Any, host: contract.Host, **named: Any):
        super().__init__(options, host, **named)
        self._exempt = frozenset(role.lower() for role in options.ignore_user_roles)
        # as in "name":"value", which Glance's documentation shows
        self._properties = {name.strip(QUOTES): value.strip(QUOTES)
                            for name, value in options.inject.items()}
        for name in self._properties:
            if problem := _problem(name):
                raise contract.Misconfigured(f'[{self.SECTION}] inject: {name!r} {problem}')

    def run(self, job: contract.Job) -> None:
        if self._properties and not self._exempt & {role.lower() for role in job.ctx.roles}:
            job.change(properties=dict(self._properties))

    def health(self) -> str:
        return f'properties: {", ".join(sorted(self._properties)) or "none"}'


def _problem(name: str) -> str:
    """What is wrong with the name of a property; '' if nothing is."""
    if not 0 < len(name) <= LONGEST:
        return f'is not the name of a property, which has 1 to {LONGEST} characters'
    if name.startswith('os_glance'):
        return 'cannot be set: names that begin with os_glance are those of the service'
    if name in ATTRIBUTES:
        return 'is an attribute of every image, and not a property; choose another name'
    return ''
