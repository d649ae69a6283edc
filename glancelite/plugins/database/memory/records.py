"""The records that the resources share."""

from __future__ import annotations

import itertools
import threading

from glancelite import contract
from glancelite.contract.metadef import Definition, ResourceType
from glancelite.contract.values import Image, Member, Task


class Records:
    """All records; read or change them while holding ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.images: dict[str, Image] = {}
        self.deleted_images: dict[str, Image] = {}
        #: id of an image that is pending deletion -> the status that it had before
        self.statuses_before: dict[str, str] = {}
        #: image id -> project -> member, in the order of their addition; the members of an
        #: image that is pending deletion stay here for ``undelete``
        self.members: dict[str, dict[str, Member]] = {}
        #: in the order of their addition
        self.tasks: dict[str, Task] = {}
        #: by the name of the namespace
        self.definitions: dict[str, Definition] = {}
        #: name -> number and type, in the order of their addition
        self.resource_types: dict[str, tuple[int, ResourceType]] = {}
        #: numbers of namespaces and items
        self.numbers = itertools.count(1)

    def membership(self, image_id: str, project: str | None) -> str | None:
        """Return the member status of a project; None if it is no member."""
        member = self.members.get(image_id, {}).get(project)  # type: ignore[arg-type]
        return member.status if member else None


def image_not_found(image_id: str) -> contract.NotFound:
    return contract.NotFound(f'No image found with ID {image_id}')
