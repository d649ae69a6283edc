"""A store with all capabilities, and stores with a fault in one of them."""

import pathlib
import uuid

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore


class Able(MemoryStore):
    """A good one."""

    CAPABILITIES = contract.Store.CAPABILITIES

    def adopt(self, url, *, ctx=None):
        key = self._key(url)
        if not key.replace('-', '').isalnum():
            raise contract.Invalid('The URL is not one of this store.')
        return self._prefix + key

    def share(self, url, *, public, projects, ctx=None):
        self._find(url)

    def exclusive_resources(self):
        return {f'memory {self.name}'}


class TakesDataUndeclared(MemoryStore):
    CAPABILITIES = frozenset({'range'})


class AdoptsUndeclared(Able):
    CAPABILITIES = frozenset({'write', 'range'})


class DeclaresToAdopt(Able):
    def adopt(self, url, *, ctx=None):
        raise contract.Unsupported('not implemented')


class KeepsWhatItIsGiven(Able):
    """Does not normalize URLs."""

    def adopt(self, url, *, ctx=None):
        return super().adopt(url).replace('memory:', 'MEMORY:')

    def _key(self, url):
        return super()._key(url.replace('MEMORY:', 'memory:'))

    def owns(self, url):
        return super().owns(url.replace('MEMORY:', 'memory:'))


class AdoptsAnything(Able):
    def adopt(self, url, *, ctx=None):
        return url


class AdoptsItsNeighbours(Able):
    def adopt(self, url, *, ctx=None):
        if url.startswith(self._prefix):
            return super().adopt(url)
        return url.strip().rstrip('/')


class KeepsSecrets(Able):
    def adopt(self, url, *, ctx=None):
        return url if '@' in url else super().adopt(url)


class RepeatsSecrets(Able):
    def adopt(self, url, *, ctx=None):
        if '@' in url:
            raise contract.Invalid(f'{url} is not one of this store')
        return super().adopt(url)


class SharesUndeclared(Able):
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})


class DeclaresToShare(Able):
    def share(self, url, *, public, projects, ctx=None):
        if projects:
            raise contract.Unsupported('not with projects')


class DeletesWhenSharing(Able):
    def share(self, url, *, public, projects, ctx=None):
        self._find(url)
        if not public and not projects:
            self.delete(url)


class SharesWhatIsMissing(Able):
    def share(self, url, *, public, projects, ctx=None):
        return


class ClaimsAnew(Able):
    def exclusive_resources(self):
        return {str(uuid.uuid4())}


class ClaimsByInstance(Able):
    def exclusive_resources(self):
        return {str(id(self))}


class ClaimsOneText(Able):
    def exclusive_resources(self):
        return self.name


class ClaimsPaths(Able):
    def exclusive_resources(self):
        return {pathlib.Path(self.name)}
