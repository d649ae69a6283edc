"""A whole service in one process, with blocks that a test may replace."""

from __future__ import annotations

import dataclasses
import pathlib

from glancelite import assembly, config
from glancelite.services.chains import NotifierGroup
from glancelite.services.events import Events
from glancelite.services.use_cases import Options, UseCases

MEMORY = """
[DEFAULT]
enabled_backends = fast:memory, cold:memory
[glance_store]
default_backend = fast
[os_glance_staging_store]
driver = memory
[layers]
auth = noauth
key_manager = none
database = memory
"""


def build(folder: pathlib.Path, text: str = MEMORY) -> assembly.Core:
    """Build the service for a configuration file with ``text``; close it in the end."""
    path = folder / 'glancelite-api.conf'
    path.write_text(text)
    return assembly.build(config.load(['--config-file', str(path)]))


def exchange(core: assembly.Core, *, notifiers=None, options: Options | None = None,
             **blocks) -> assembly.Core:
    """Return the same service with other blocks.

    :param notifiers: the notifiers that receive its events.
    :param options: of the use cases; the defaults if None.
    :param blocks: fields of ``services.layers.Layers``.
    """
    if notifiers is not None:
        blocks['events'] = Events(NotifierGroup(notifiers), core.layers.host)
    layers = dataclasses.replace(core.layers, **blocks)
    return dataclasses.replace(core, layers=layers, use_cases=UseCases.build(layers, options))
