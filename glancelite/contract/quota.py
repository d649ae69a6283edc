"""The layer ``quota``: limits what projects and images may use."""

from __future__ import annotations

import abc
import dataclasses

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image


@dataclasses.dataclass(frozen=True, slots=True)
class QuotaRequest:
    """What a use case is about to use, or has just reserved.

    ``project`` is charged; None if no project is.  ``images`` is 1 for a new image.  The
    other counts are the totals of one image after the change, None if the change does not
    touch them.  ``bytes`` is the size that an upload announced, None if it announced none.
    ``image`` is what is asked for, with its visibility, formats and properties.

    The actions:

    ``add_image``
        a new image, which is recorded already: ``images``, ``tags``, ``properties``.
        Before that, for one with hundreds of tags or properties: these two alone.
    ``modify_image``
        before more tags or properties are written: ``tags``, ``properties``.  After
        visibility, owner, formats or ``os_hidden`` were written: no count.
    ``upload_image``
        after the announced size was reserved, and if none was announced, again when the
        size is known: ``bytes``.  The answer limits the upload.
    ``stage_image``
        after the image became ``uploading`` with the announced size: ``bytes``.  The answer
        limits the data.
    ``import_image``
        before an import is accepted, and while it stages data: the answer limits the data.
        After the size was recorded, and after each location: ``bytes``, times the locations.
    ``add_member``
        after the member was added: ``members``.
    ``set_image_location``, ``add_image_location``
        before a location is added: ``locations``; after it was: ``bytes``.

    A request that is made *after* a write concerns what others see already, and the write
    is undone if the request is refused.  So concurrent requests see each other, and
    ``Host.usage`` includes what is asked for.  It is never exceeded; if several requests
    are refused only because of each other, uploads and new images are tried again.
    """

    action: str
    project: str | None = None
    images: int | None = None
    bytes: int | None = None
    properties: int | None = None
    tags: int | None = None
    members: int | None = None
    locations: int | None = None
    image: Image | None = None


class QuotaEnforcer(Plugin):
    """One member of the quota chain.  All members must grant a request."""

    LAYER = 'quota'

    @abc.abstractmethod
    def check(self, ctx: Context, request: QuotaRequest) -> int | None:
        """Grant the request by returning.

        :returns: for an upload, a stage and an import, the most bytes that the image may
            have; None for no limit, and for other actions.
        :raises QuotaExceeded: the request exceeds a limit.
        :raises Unavailable: the limits are not known; counts as a refusal.
        """
