"""Builds the service from its configuration."""

from collections.abc import Iterator

from oslo_config import cfg

from glancelite.assembly import imports, stores
from glancelite.assembly.build import auth_name, build
from glancelite.assembly.core import Core, Settings
from glancelite.assembly.host import ServiceHost

__all__ = ['Core', 'ServiceHost', 'Settings', 'auth_name', 'build', 'notices']


def notices(conf: cfg.ConfigOpts) -> Iterator[str]:
    """What an operator should know about options that are deprecated, or not used."""
    yield from stores.notices(conf)
    yield from imports.notices(conf)
