"""Several plugins of a layer that act as one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from glancelite import contract
from glancelite.contract import Context, Event, QuotaRequest
from glancelite.contract.metadef import Namespace
from glancelite.contract.policy import Target, TargetT
from glancelite.services import border

LOG = logging.getLogger(__name__)

SEE_NAMESPACE = 'get_metadef_namespace'


class PolicyChain(contract.PolicyEngine):
    """All engines must allow an action; an empty chain allows it.

    A refusal becomes ``NotFound`` for a caller that may not see the target.
    """

    def __init__(self, engines: Sequence[contract.PolicyEngine]):
        self._engines = tuple(engines)

    def enforce(self, ctx: Context, action: str, target: Target | None = None, *,
                member: str | None = None) -> None:
        try:
            for engine in self._engines:
                try:
                    answer: object = engine.enforce(ctx, action, target, member=member)
                except BaseException as error:
                    border.check_error(engine, error)
                    raise
                if answer is not None:      # False would be meant as a refusal
                    raise border.wrong(engine, f'returned {answer!r:.80} from enforce, which '
                                               'returns None or raises Forbidden')
        except contract.Forbidden:
            self._hide(ctx, action, target)
            raise

    def _hide(self, ctx: Context, action: str, target: Target | None) -> None:
        """
        :raises NotFound: the caller may not see what it was refused.
        """
        if isinstance(target, Namespace) or (target is None and 'metadef' in action):
            # also without a namespace: callers who see no namespace learn of none
            if action == SEE_NAMESPACE or not self.allows(ctx, SEE_NAMESPACE, target):
                raise contract.NotFound('The resource could not be found.') from None
        # an image without a creation time does not exist yet: there is nothing to hide
        elif target is not None and target.created_at is not None and (
                action == 'get_image' or not self.allows(ctx, 'get_image', target)):
            raise contract.NotFound(f'No image found with ID {target.id}') from None

    def allows(self, ctx: Context, action: str, target: Target | None = None, *,
               member: str | None = None) -> bool:
        for engine in self._engines:
            try:
                answer: object = engine.allows(ctx, action, target, member=member)
            except BaseException as error:
                border.check_error(engine, error)
                raise
            if not isinstance(answer, bool):
                raise border.wrong(engine, f'returned {answer!r:.80} from allows, which returns '
                                           'True or False')
            if not answer:
                return False
        return True

    def filter(self, ctx: Context, action: str,
               targets: Sequence[TargetT]) -> Sequence[TargetT]:
        for engine in self._engines:
            try:
                answer = engine.filter(ctx, action, targets)
            except BaseException as error:
                border.check_error(engine, error)
                raise
            targets = border.check_filtered(engine, answer, targets)
        return targets

    def may_ever(self, ctx: Context, action: str) -> bool:
        for engine in self._engines:
            try:
                allowed = engine.may_ever(ctx, action)
            except BaseException as error:
                border.check_error(engine, error)
                raise
            if not allowed:
                return False
        return True

    def is_admin(self, ctx: Context) -> bool:
        for engine in self._engines:
            try:
                answer = engine.is_admin(ctx)
            except BaseException as error:
                border.check_error(engine, error)
                raise
            if isinstance(answer, bool):
                return answer
            if answer is not None:
                raise border.wrong(engine, f'returned {answer!r:.80} from is_admin, which '
                                           'returns True, False or None')
        return 'admin' in ctx.roles


class QuotaChain(contract.QuotaEnforcer):
    """All enforcers must grant a request; the lowest limit counts.  An empty chain grants."""

    def __init__(self, enforcers: Sequence[contract.QuotaEnforcer]):
        self._enforcers = tuple(enforcers)

    def check(self, ctx: Context, request: QuotaRequest) -> int | None:
        lowest = None
        for enforcer in self._enforcers:
            try:
                answer = enforcer.check(ctx, request)
            except BaseException as error:
                border.check_error(enforcer, error)
                raise
            limit = border.check_limit(enforcer, answer)
            if limit is not None and (lowest is None or limit < lowest):
                lowest = limit
        return lowest


class NotifierGroup(contract.Notifier):
    """Passes events to all notifiers; the exception of one is logged.

    :param disabled: event types, or dotted prefixes of them, that are not sent.
    """

    def __init__(self, notifiers: Sequence[contract.Notifier], disabled: Sequence[str] = ()):
        self._notifiers = tuple(notifiers)
        self._disabled = frozenset(disabled)

    def is_enabled(self, event_type: str) -> bool:
        """Return whether events of this type are sent."""
        if not self._notifiers:
            return False
        words = event_type.split('.')
        return not any('.'.join(words[:count]) in self._disabled
                       for count in range(1, len(words) + 1))

    def notify(self, event: Event) -> None:
        for notifier in self._notifiers:
            try:
                with border.Calling(notifier):
                    notifier.notify(event)
            except Exception:
                LOG.exception('the notifier %s failed on %s', notifier.name, event.type)
