"""The import method ``copy-image``: copies the data of an image into more stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite import contract


class CopyImage(contract.Importer):
    """Adds locations to an active image.  The core reads the data from one it has already."""

    STARTS_FROM = 'active'
    ACTION = 'copy_image'
    STAGES = False

    def check(self, ctx: contract.Context, image: contract.Image,
              method: Mapping[str, Any]) -> Mapping[str, Any]:
        if not image.active_locations:
            raise contract.Conflict('The image has no location from which it can be copied.')
        return {}

    def fetch(self, job: contract.Job) -> None:
        """Nothing: the data stays where it is."""
