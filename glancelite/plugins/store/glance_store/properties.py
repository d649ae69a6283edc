"""Properties of glance_store's own drivers, for the discovery of stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glancelite.plugins.store.glance_store.location import Prefix

#: scheme -> name of a property -> attribute of a configured driver
ATTRIBUTES = {
    'cinder': {'volume_type': 'store_conf.cinder_volume_type',
               'use_multipath': 'store_conf.cinder_use_multipath'},
    'file': {'data_dir': 'datadir', 'chunk_size': 'chunk_size',
             'thin_provisioning': 'thin_provisioning'},
    'rbd': {'chunk_size': 'chunk_size', 'pool': 'pool',
            'thin_provisioning': 'thin_provisioning'},
    's3': {name: name for name in ('s3_store_large_object_size', 's3_store_thread_pools',
                                   's3_store_large_object_chunk_size')},
    'swift': {name: name for name in ('container', 'large_object_size',
                                      'large_object_chunk_size')},
}


def driver_properties(driver: Any, scheme: str, prefixes: Sequence[Prefix]) -> dict[str, object]:
    """Return the properties of a configured driver.

    :param scheme: the first of its schemes.
    """
    attributes = ATTRIBUTES.get(scheme.partition('+')[0], {})
    values = {name: _attribute(driver, path) for name, path in attributes.items()}
    if scheme == 'rbd' and prefixes:
        values['fsid'] = prefixes[0][1].partition('/')[0]
    return {name: value for name, value in values.items() if value is not None}


def _attribute(driver: Any, path: str) -> Any:
    for name in path.split('.'):
        driver = getattr(driver, name, None)
    return driver
