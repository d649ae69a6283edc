"""OpenStack's policy rules: documented defaults, overridden by files of the operator."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Any

from oslo_policy import opts

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.policy import Target, TargetT
from glancelite.plugins.policy import partial, ruleset
from glancelite.support.file_watch import FileWatch

LOG = logging.getLogger(__name__)

#: seconds between two checks of the files
CHECK_INTERVAL = 1.0
#: the former default of ``[oslo_policy] policy_file``, which is not read by default any more
FORMER_FILE = 'policy.json'


def _register(conf: Any) -> None:
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)


class OsloPolicy(contract.PolicyEngine):
    """Evaluates the rules; changes of their files take effect within a second.

    An invalid file prevents the start.  If a file becomes invalid later, this is logged
    and the rules stay as they are.
    """

    LIBRARY_OPTS = (_register,)

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        if not self.conf.oslo_policy.enforce_new_defaults:
            LOG.warning('[oslo_policy] enforce_new_defaults = false applies to the rules of '
                        'metadata definitions: the others have no older defaults')
        if not partial.evaluators():
            LOG.warning('policy: this release of oslo.policy is not supported by the fast '
                        'evaluation of rules; the library evaluates each request')
        self._watch = FileWatch(self._files, self._reload, interval=CHECK_INTERVAL)
        self._warn_about_files()
        try:
            self._rules = ruleset.RuleSet(self.conf)
        except Exception as error:      # an invalid file or rule, or an I/O error
            raise contract.Misconfigured(_one_line(error)) from error

    def _warn_about_files(self) -> None:
        if not self._watch.files and self.conf.get_location('policy_file', 'oslo_policy') \
                .location.is_user_controlled:
            LOG.warning('there is no policy file %s: the default rules apply',
                        self.conf.oslo_policy.policy_file)
        former = self.conf.find_file(FORMER_FILE)
        if former and former not in self._watch.files:
            LOG.warning('the rules of %s are not read: convert them to YAML with '
                        'oslopolicy-convert-json-to-yaml', former)

    def enforce(self, ctx: Context, action: str, target: Target | None = None, *,
                member: str | None = None) -> None:
        if not self.allows(ctx, action, target, member=member):
            raise contract.Forbidden(f'You are not authorized to complete {action} action.')

    def allows(self, ctx: Context, action: str, target: Target | None = None, *,
               member: str | None = None) -> bool:
        try:
            self._watch.check()
            return self._rules.allows(ctx, action, target, member)
        except Exception as error:      # remote and custom checks may raise anything
            raise _undecided(action) from error

    def filter(self, ctx: Context, action: str,
               targets: Sequence[TargetT]) -> Sequence[TargetT]:
        try:
            self._watch.check()
            return self._rules.filter(ctx, action, targets)
        except Exception as error:
            raise _undecided(action) from error

    def may_ever(self, ctx: Context, action: str) -> bool:
        self._watch.check()
        return self._rules.may_ever(ctx, action)

    def is_admin(self, ctx: Context) -> bool:
        return self.allows(ctx, 'context_is_admin')

    def _reload(self) -> None:
        try:
            self._rules = ruleset.RuleSet(self.conf)
        except Exception as error:
            LOG.error('policy: the rules stay as they were: %s', _one_line(error))
        else:
            LOG.info('policy: the rules were reloaded')

    def _files(self) -> list[str]:
        """Return the files that may have rules; some may be missing."""
        options = self.conf.oslo_policy
        names = [self.conf.find_file(options.policy_file)]
        for folder in filter(None, map(self.conf.find_file, options.policy_dirs)):
            with contextlib.suppress(OSError):
                names.extend(sorted(entry.path for entry in os.scandir(folder)))
        return [name for name in names if name]


def _undecided(action: str) -> contract.Unavailable:
    LOG.exception('policy: rule %s could not be evaluated', action)
    return contract.Unavailable(f'The policy for {action} could not be evaluated.')


def _one_line(error: Exception) -> str:
    return ' '.join(f'{type(error).__name__}: {error}'.split())
