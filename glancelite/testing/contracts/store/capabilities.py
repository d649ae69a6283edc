"""Claims about the capabilities of a store, and about URLs that users make up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.toolbox import same, secrets, twin

#: URLs that must not lead to other data; ``{url}`` is one of the store's own, and
#: ``{base}/{name}`` the same in two parts
HOSTILE = (
    '', 'x', '/', '//', '://', '../../etc/passwd', '/etc/passwd', 'file:///etc/passwd',
    'file:///etc/../etc/passwd', 'file://localhost/etc/passwd', 'filesystem:///etc/passwd',
    'file:///proc/self/environ', 'http://127.0.0.1:9/secret', 'none://a/b', '{base}', '{base}/',
    '{base}/..', '{base}/.', '{base}/../{name}', '{base}/../../etc/passwd', '{url}/',
    '{url}/..', '{url}/../../../../../../etc/passwd', '{url}\0', '{url}\n', ' {url}', 'x{url}',
    '{base}/%2e%2e/etc/passwd', '{base}//etc/passwd', '{base}/{name}/{name}', '{url}\0/../x',
    '{base}x/{name}',
)


def failed_urls(check: Callable[[str], None], url: str) -> dict[str, str]:
    """Call ``check`` with each hostile URL; return those that fail it, with the reason.

    :param url: a URL of the store.
    """
    base, _, name = url.rpartition('/')
    failures = {}
    for template in HOSTILE:
        hostile = template.format(url=url, base=base, name=name)
        try:
            check(hostile)
        except Exception as error:
            failures[hostile] = f'{type(error).__name__}: {error}'
    return failures


def in_other_root(url: str) -> str:
    """Return the same URL in another root, such as a bucket with a longer name."""
    base, _, name = url.rpartition('/')
    return f'{base}x/{name}'


def rejects(store: contract.Store, method: Callable, url: str, own: str) -> bool:
    """Return whether ``method`` rejects this URL, or may accept it.

    A store without ``write`` did not create the data behind the URLs that it owns, such as
    all of the web: there may be data, or a server that does not answer.  A root that does
    not exist is not available.

    :param own: a URL of data in the store.
    """
    external = 'write' not in store.CAPABILITIES and store.owns(url)
    try:
        method(url)
    except (contract.Invalid, contract.NotFound):
        return True
    except contract.Unavailable:
        if url == in_other_root(own):
            return True
        if not external:
            raise
    except contract.Forbidden:
        if not external:
            raise
    return external


class CapabilitiesContract:
    """Part of ``ReadingContract``, which explains the fixtures."""

    @pytest.fixture
    def adoptable(self, sample):
        """``(url, data)``: a URL that a user may add, and its data.

        Override it if users write URLs in another form than the store does.
        """
        return sample

    def test_accepts_data_only_with_the_capability_write(self, store, missing):
        if 'write' in store.CAPABILITIES:
            assert type(store).write is not contract.Store.write
            return

        chunks = iter([b'12345'])
        for call in (lambda: store.write('key', chunks), lambda: store.delete(missing),
                    lambda: store.discard('key')):
            with pytest.raises(contract.ReadOnly):
                call()
        assert list(chunks) == [b'12345']

    # --- adopt

    def test_adopts_its_own_urls_or_is_unsupported(self, store, sample, adoptable,
                                                          context):
        url, data = adoptable
        if 'adopt' not in store.CAPABILITIES:
            with pytest.raises(contract.Unsupported):
                store.adopt(url)
            return

        adopted = store.adopt(url, ctx=context())

        assert same(b''.join(store.read(adopted)), data)
        assert store.size(adopted) == len(data)
        assert store.owns(adopted)
        assert adopted.isprintable()
        assert adopted.partition('://')[0] in store.SCHEMES
        assert store.adopt(adopted) == adopted      # the normal form
        if url == sample[0] and 'write' in store.CAPABILITIES:
            assert adopted == url                   # the form that ``write`` returns

    def test_adopts_no_hostile_url(self, store, sample):
        url, data = sample

        def check(hostile):
            try:
                adopted = store.adopt(hostile)
            except contract.Invalid:    # as is Unsupported
                return
            assert 'adopt' in store.CAPABILITIES
            assert store.owns(hostile)
            assert store.owns(adopted)
            if adopted != url:
                assert rejects(store, store.read, adopted, url)
                assert rejects(store, store.size, adopted, url)

        assert failed_urls(check, url) == {}
        assert same(b''.join(store.read(url)), data)

    def test_adopted_urls_and_errors_show_no_secrets(self, store, adoptable):
        scheme, _, rest = adoptable[0].partition('://')
        given = f'{scheme}://user:hidden-word@{rest}'

        try:
            shown = store.adopt(given)
        except contract.Invalid as error:
            shown = f'{error} {error.details}'

        assert not [word for word in ('hidden-word', *secrets(store)) if word in shown]

    # --- share

    def test_shares_or_is_unsupported(self, store, sample, context):
        url, data = sample
        if 'share' not in store.CAPABILITIES:
            with pytest.raises(contract.Unsupported):
                store.share(url, public=True, projects=())
            return

        results = [store.share(url, public=public, projects=projects, ctx=context())
                   for public, projects in ((True, ()), (False, ('one', 'two')), (False, ()))]

        assert results == [None] * 3
        assert same(b''.join(store.read(url)), data)

    def test_missing_data_cannot_be_shared(self, store, missing):
        error = contract.NotFound if 'share' in store.CAPABILITIES else contract.Unsupported

        with pytest.raises(error):
            store.share(missing, public=False, projects=('one',))

    # --- exclusive resources

    def test_exclusive_resources_are_texts_that_do_not_change(self, store):
        names = store.exclusive_resources()
        other = twin(store)

        try:
            assert not isinstance(names, str)
            assert all(isinstance(name, str) and name for name in names)
            assert sorted(names) == sorted(store.exclusive_resources())
            assert sorted(names) == sorted(other.exclusive_resources())
        finally:
            other.close()
