"""What makes a class no plugin of its layer, as loading shows it."""

import pytest
from oslo_config import cfg

from glancelite import conformity, contract
from glancelite.plugins.database.memory import MemoryDatabase
from glancelite.plugins.store.memory import MemoryStore


class ReadOnly(contract.Store):
    """A read-only store: the minimum."""

    CAPABILITIES = frozenset()

    def read(self, url, *, offset=0, length=None, ctx=None):
        return iter(())

    def size(self, url, *, ctx=None):
        return 0

    def owns(self, url):
        return False


class WithoutDelete(ReadOnly):
    CAPABILITIES = frozenset({'write'})

    def write(self, key, chunks, *, size=None, ctx=None):
        return contract.WriteResult('x://', sum(map(len, chunks)))

    def discard(self, key, *, ctx=None):
        pass


def store(**members):
    """A read-only store with these members."""
    return type('Store', (ReadOnly,), members)


def without_self():
    pass


def positional(self, url, offset, length=None, ctx=None):
    pass


def short(self, url):
    return 0


def renamed(self, address, **named):
    return 0


async def later(self, url, *, ctx=None):
    return 0


def wrong_init(self, options, host):
    pass


@pytest.mark.parametrize(('kind', 'problem'), [
    (ReadOnly, ''), (MemoryStore, ''),
    (dict, 'is not a subclass of'), (len, 'is not a subclass of'), (None, 'is not a subclass of'),
    (store(CONTRACT=0),
     'was written for version 0 of the contract; this service uses version 1'),
    (store(CONTRACT='1'), "was written for version '1' of the contract"),
    (WithoutDelete, 'lacks delete'), (store(read=contract.Store.read), 'lacks read'),
    (store(OPTS=cfg.StrOpt('x')),
     'declares OPTS of type StrOpt, not a tuple of options of oslo.config'),
    (store(OPTS=('x',)), 'declares OPTS that are not options of oslo.config'),
    (store(LIBRARY_OPTS=('x',)), 'declares LIBRARY_OPTS that are not functions of a ConfigOpts'),
    (store(CAPABILITIES='write'),
     'declares CAPABILITIES of type str, not a frozenset of words'),
    (store(CAPABILITIES=frozenset({'fly', 'range'})),
     'declares unknown capabilities: fly; there are: adopt, range, share, write'),
    (store(SCHEMES='http'), 'declares SCHEMES that are not a tuple of texts'),
    (store(SCHEMES=('a',), PUBLIC_SCHEMES=('b',)),
     'declares PUBLIC_SCHEMES that are not among its SCHEMES'),
    (store(size=renamed), ''), (store(size=staticmethod(lambda url, *, ctx=None: 0)), ''),
    (store(size=short), 'has size(self, url), which cannot be called as size(url, *, ctx=None): '
                        "got an unexpected keyword argument 'ctx'"),
    (store(read=positional), 'has read(self, url, offset, length=None, ctx=None), which cannot '
     "be called as read(url, *, offset=0, length=None, ctx=None): missing a required argument: "
     "'offset'"),
    (store(close=without_self), 'has close(), which cannot be called as close(): too many '
                                'positional arguments'),
    (store(size=later), 'has size, which is a coroutine function; the contract has no '
                        'coroutines'),
    (store(health='fine'), 'has health, which is not a method'),
    (store(redact=lambda url: url), 'has redact, which is not a class method'),
    (store(redact=classmethod(lambda cls, url: url)), ''),
    (store(__init__=wrong_init), 'has __init__(self, options, host), which cannot be called as '
     "__init__(options, host, *, name='', conf=None): got an unexpected keyword argument "
     "'name'"),
    (store(__init__=lambda self, options, host, *, name, conf: None), ''),
])
def test_violations_of_the_contract_are_named(kind, problem):
    violation = conformity.violation('store', kind)

    assert violation.startswith(problem) if problem else violation == ''


@pytest.mark.parametrize(('layer', 'base', 'method'), [
    (layer, base, name) for layer, base in contract.LAYERS.items()
    for name in sorted(base.__abstractmethods__) if callable(getattr(base, name))])
def test_a_method_without_parameters_violates_the_contract_of_every_layer(layer, base, method):
    members = {name: getattr(base, name) for name in base.__abstractmethods__}
    for name in members:
        members[name] = lambda self, *given, **named: None
    fine = type('Plugin', (base,), {**members, 'CAPABILITIES': frozenset()})
    wrong = type('Plugin', (fine,), {method: without_self})

    assert conformity.violation(layer, fine) == ''
    assert conformity.violation(layer, wrong).startswith(f'has {method}(), which cannot be ')


def test_only_stores_have_capabilities():
    kind = type('Database', (MemoryDatabase,), {'CAPABILITIES': frozenset({'write'})})

    assert conformity.violation('database', kind) == (
        'declares unknown capabilities: write; there are: none in this layer')


@pytest.mark.parametrize(('name', 'parameters'), [
    ('images', 'image_id, *, viewer'), ('tasks', 'task_id')])
def test_records_with_other_signatures_are_named(name, parameters):
    def get(self, record, more):
        return None

    plain = MemoryDatabase(None, None, name='acme')
    kind = type('Records', (type(getattr(plain, name)),), {'get': get})
    records = kind.__new__(kind)
    database = type('Database', (MemoryDatabase,), {name: property(lambda self: records)})(
        None, None, name='acme')

    assert conformity.fault(database, 'acme').startswith(
        f'{name}: has get(self, record, more), which cannot be called as get({parameters}): ')
