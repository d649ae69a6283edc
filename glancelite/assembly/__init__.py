"""Builds the service from its configuration."""

from glancelite.assembly.build import auth_name, build
from glancelite.assembly.core import Core, Settings
from glancelite.assembly.host import ServiceHost
from glancelite.assembly.stores import notices

__all__ = ['Core', 'ServiceHost', 'Settings', 'auth_name', 'build', 'notices']
