"""What store drivers share: the rule for keys, and locks of keys."""

import pytest

from glancelite import contract
from glancelite.contract import store_rules


@pytest.mark.parametrize('key', ['a', '0', 'a.b_c-D', 'a' * 255])
def test_a_key_of_the_core_is_accepted(key):
    store_rules.check_key(key)


@pytest.mark.parametrize('key', ['', '.a', '-a', 'a/b', 'a b', 'a\n', 'é', 'a' * 256])
def test_another_key_is_invalid(key):
    with pytest.raises(contract.Invalid):
        store_rules.check_key(key)


def test_a_key_has_one_writer_at_a_time():
    locks = store_rules.KeyLocks()

    with locks.hold('one'), locks.hold('other'):
        with pytest.raises(contract.Conflict), locks.hold('one'):
            pytest.fail('two writers hold the key')
        assert not locks.isdisjoint(['one', 'third'])
        assert locks.isdisjoint(['third'])
    with locks.hold('one'):
        pass


def test_a_writer_that_fails_releases_the_key():
    locks = store_rules.KeyLocks()

    with pytest.raises(ZeroDivisionError), locks.hold('key'):
        raise ZeroDivisionError

    assert locks.isdisjoint(['key'])
