"""The layer ``importer``: methods by which an image gets its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.job import Job
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image


class Importer(Plugin):
    """An import method; the plugin's name is the name of the method in requests.

    ``health`` raises an ``Error`` if the method cannot work here, for example because a program
    is missing.  Then it is not offered to users; the text is for the operator.
    """

    LAYER = 'importer'
    #: the status that an image must have
    STARTS_FROM: ClassVar[str] = 'queued'
    #: the action that the policy must allow
    ACTION: ClassVar[str] = 'modify_image'
    #: False: the data is not staged, since the image has it already (``copy-image``); then
    #: steps do not apply
    STAGES: ClassVar[bool] = True
    #: True: ``fetch`` needs the token of the caller, which only the process has that accepted the
    #: request; so the method is not offered if tasks run in others (``Executor.RUNS_ELSEWHERE``)
    NEEDS_TOKEN: ClassVar[bool] = False
    #: keys of what ``check`` returns that users do not see in the task
    SECRETS: ClassVar[frozenset[str]] = frozenset()

    def check(self, ctx: Context, image: Image,
              method: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check the request, as far as this is possible without data.

        :param method: the value of ``method`` in the body of the request.
        :returns: what the work needs, JSON-ready: it becomes ``Job.arguments``, and users see
            it in the task, without the ``SECRETS``.
        :raises Invalid: an argument is missing or wrong.
        :raises Conflict: the image has no data for this method.
        """
        return {}

    def fetch(self, job: Job) -> None:
        """Bring the data into the staging area.

        It may be called again, by any process, after a part of the work was done:
        ``job.staged_size`` and ``job.memory`` say how far it came.

        :raises Unavailable: another attempt may succeed; the core pauses and calls again.
        :raises Error: anything else ends the import; users see the text.
        """
