"""Builds the service from its configuration."""

from glancelite.assembly.build import Core, ServiceHost, Settings, auth_name, build

__all__ = ['Core', 'ServiceHost', 'Settings', 'auth_name', 'build']
