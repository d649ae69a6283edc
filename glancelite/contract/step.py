"""The layer ``step``: changes the data of imports before it is stored."""

from __future__ import annotations

import abc
from typing import ClassVar

from glancelite.contract.job import Job
from glancelite.contract.plugin import Plugin


class Step(Plugin):
    """A step of every import, between fetching the data and storing it.

    ``health`` raises an ``Error`` if the step cannot work here, for example because a program
    is missing; then imports that need it are not offered.
    """

    LAYER = 'step'
    #: False: the step leaves the data as it is, so that it can be hashed before
    CHANGES_DATA: ClassVar[bool] = True

    @abc.abstractmethod
    def run(self, job: Job) -> None:
        """Change the staged data or the attributes of the image.

        It may be called again after a part of the work was done, by any process, and must
        then have the same result.

        :raises Unavailable: another attempt may succeed; the core pauses and calls again.
        :raises Error: anything else ends the import; users see the text.
        """
