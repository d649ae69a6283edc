"""A whole service in one process, with blocks that a test may exchange."""

from __future__ import annotations

import dataclasses
import pathlib

from glancelite import assembly, config
from glancelite.services.chains import NotifierGroup
from glancelite.services.data import ImageData
from glancelite.services.discovery import Discovery
from glancelite.services.events import Events
from glancelite.services.hashing import Hashing
from glancelite.services.images import Images
from glancelite.services.locations import Locations
from glancelite.services.members import Members
from glancelite.services.tags import Tags

MEMORY = """
[DEFAULT]
enabled_backends = fast:memory, cold:memory
[glance_store]
default_backend = fast
[layers]
auth = noauth
key_manager = none
database = memory
"""


def build(folder: pathlib.Path, text: str = MEMORY) -> assembly.Core:
    """The service that a configuration file with ``text`` means; to be closed."""
    path = folder / 'glancelite-api.conf'
    path.write_text(text)
    return assembly.build(config.load(['--config-file', str(path)]))


def exchange(core: assembly.Core, *, notifiers=None, **blocks) -> assembly.Core:
    """The same service with other blocks; ``notifiers`` are built into the fan.

    :param blocks: fields of ``services.layers.Layers``.
    """
    if notifiers is not None:
        blocks['events'] = Events(NotifierGroup(notifiers), core.layers.host)
    layers = dataclasses.replace(core.layers, **blocks)
    images = Images(layers)
    return dataclasses.replace(
        core, layers=layers, images=images, data=ImageData(layers), members=Members(layers),
        tags=Tags(layers, images), discovery=Discovery(layers),
        locations=Locations(layers, images, hashing=Hashing(core.layers.stores)))
