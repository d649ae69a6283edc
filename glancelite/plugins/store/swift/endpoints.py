"""The URL of a project's Swift account, by the options or by the service catalog."""

from __future__ import annotations

from typing import Any

from glancelite import contract


def from_options(options: Any, project: str | None) -> str:
    """Return ``swift_store_endpoint``, which must be set, for a project."""
    endpoint: str = options.swift_store_endpoint
    return endpoint.replace('%(project_id)s', project or '').rstrip('/')


def from_catalog(options: Any, credential: contract.Credential) -> str:
    """Return the endpoint in the service catalog.

    :raises Unavailable: the catalog has no such endpoint.
    """
    return credential.endpoint(
        options.swift_store_service_type, region=options.swift_store_region,
        interface=options.swift_store_endpoint_type)
