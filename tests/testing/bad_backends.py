"""Stores whose backend is down: good ones, and ones that report it wrongly."""

import threading
import time

from oslo_config import cfg

from glancelite import contract


class Dead(contract.Store):
    """A good one: each call that needs the backend raises ``Unavailable``."""

    SCHEMES = ('dead',)
    OPTS = (cfg.StrOpt('key', default='s3cr3t', secret=True, help='A secret.'),)

    def _ask(self, *asked, **named):
        raise contract.Unavailable('the backend does not answer')

    write = read = size = delete = discard = share = health = _ask

    def owns(self, url):
        return url.startswith('dead://')

    def adopt(self, url, *, ctx=None):
        return url

    def exclusive_resources(self):
        return ['dead']


class DeadAndReadOnly(Dead):
    """A good one."""

    CAPABILITIES = frozenset({'range'})

    write, delete, discard, share = (
        contract.Store.write, contract.Store.delete, contract.Store.discard, contract.Store.share)


class NeverDown(DeadAndReadOnly):
    """A good one: it has many backends, and its health does not depend on one."""

    def health(self):
        return 'reads only'


class IsAlwaysHealthy(Dead):
    def health(self):
        return 'ok'


class NeverAnswers(Dead):
    def health(self):
        time.sleep(60)
        raise contract.Unavailable('the backend does not answer')


class ShowsItsSecret(Dead):
    def health(self):
        raise contract.Unavailable('http://user:s3cr3t@dead does not answer')


class ShowsItsAddress(Dead):
    def size(self, url, *, ctx=None):
        raise contract.Unavailable('http://10.0.0.1 does not answer')


class ReportsMissingData(Dead):
    def size(self, url, *, ctx=None):
        raise contract.NotFound('nothing there')


class OpensLate(Dead):
    def read(self, url, *, offset=0, length=None, ctx=None):
        yield self._ask()


class RaisesItsLibrarysErrors(Dead):
    def write(self, key, chunks, *, size=None, ctx=None):
        raise ConnectionRefusedError('dead')


class DiscardsNothing(Dead):
    def discard(self, key, *, ctx=None):
        return


class SharesNothing(Dead):
    def share(self, url, *, public, projects, ctx=None):
        return


class WaitsInAQueue(Dead):
    """Calls wait for each other: one takes a quarter of a second, sixteen take four."""

    line = threading.Lock()

    def size(self, url, *, ctx=None):
        with self.line:
            time.sleep(0.25)
        self._ask()


class ContactsTheBackendInOwns(Dead):
    def owns(self, url):
        self._ask()


class ContactsTheBackendInProperties(Dead):
    def properties(self):
        self._ask()
