"""The import method ``glance-direct``: the data that a user has staged."""

from __future__ import annotations

from glancelite import contract


class GlanceDirect(contract.Importer):
    """Takes the data that ``PUT /v2/images/{id}/stage`` has brought into the staging area."""

    STARTS_FROM = 'uploading'

    def fetch(self, job: contract.Job) -> None:
        # nothing at all may have been staged on purpose: the image has a size then
        if job.staged_size == 0 and job.image.size != 0:
            raise contract.Conflict('The image has no staged data; stage it before the import.')
