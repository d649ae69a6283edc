"""OpenStack's policy rules: documented defaults, overridden by the operator's file."""

import contextlib
import logging
import os
import threading
import time

from oslo_policy import opts

from glancelite import contract
from glancelite.plugins.policy import ruleset

LOG = logging.getLogger(__name__)

#: seconds between two looks at the files
LOOK = 1.0
#: what the file was called once; libraries no longer look for it
FORMER = 'policy.json'


def _register(conf):
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)


class OsloPolicy(contract.PolicyEngine):
    """Asks the rules; a change of their files is seen within a second.

    A file that is broken stops the start.  Broken later, it is reported and the
    rules stay as they were.
    """

    LIBRARY_OPTS = (_register,)

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        if not self.conf.oslo_policy.enforce_new_defaults:
            LOG.warning('[oslo_policy] enforce_new_defaults = false is not supported: '
                        'there are no older defaults here')
        self._look = threading.Lock()
        self._next_look = time.monotonic() + LOOK
        self._seen = self._files()
        if not self._seen and self.conf.get_location('policy_file', 'oslo_policy') \
                .location.is_user_controlled:
            LOG.warning('there is no policy file %s: the default rules apply',
                        self.conf.oslo_policy.policy_file)
        former = self.conf.find_file(FORMER)
        if former and former not in (name for name, *_ in self._seen):
            LOG.warning('the rules of %s are not read: convert them to YAML with '
                        'oslopolicy-convert-json-to-yaml', former)
        try:
            self._rules = ruleset.RuleSet(self.conf)
        except Exception as error:      # a YAML, an I/O or a rule's fault: all stop the start
            raise contract.Misconfigured(f'policy: {_one_line(error)}') from error

    def enforce(self, ctx, action, image=None, *, member=None):
        if not self._allows(ctx, action, image, member):
            raise contract.Forbidden(f'You are not authorized to complete {action} action.')

    def allows(self, ctx, action, image=None, *, member=None):
        return self._allows(ctx, action, image, member)

    def filter(self, ctx, action, images):
        try:
            return self._now().filter(ctx, action, images)
        except Exception as error:
            raise _undecided(action) from error

    def is_admin(self, ctx):
        return self._allows(ctx, 'context_is_admin', None, None)

    def _allows(self, ctx, action, image, member):
        try:
            return self._now().allows(ctx, action, image, member)
        except Exception as error:      # whatever a remote or custom check meets
            raise _undecided(action) from error

    def _now(self):
        if time.monotonic() >= self._next_look and self._look.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + LOOK
                self._refresh()
            finally:
                self._look.release()
        return self._rules

    def _refresh(self):
        found = self._files()
        if found == self._seen:
            return
        self._seen = found
        try:
            self._rules = ruleset.RuleSet(self.conf)
        except Exception as error:
            LOG.error('policy: the rules stay as they were: %s', _one_line(error))
        else:
            LOG.info('policy: the rules have changed')

    def _files(self):
        """Path, time and size of each file that rules come from."""
        options = self.conf.oslo_policy
        names = [self.conf.find_file(options.policy_file)]
        for folder in filter(None, map(self.conf.find_file, options.policy_dirs)):
            with contextlib.suppress(OSError):
                names.extend(sorted(entry.path for entry in os.scandir(folder)))
        found = []
        for name in filter(None, names):
            with contextlib.suppress(OSError):
                status = os.stat(name)
                found.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
        return found


def _undecided(action):
    LOG.exception('policy: rule %s could not be decided', action)
    return contract.Unavailable(f'It cannot be decided whether {action} is allowed.')


def _one_line(error):
    return ' '.join(f'{type(error).__name__}: {error}'.split())
