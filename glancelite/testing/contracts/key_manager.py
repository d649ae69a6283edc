"""What every key manager must do.  Subclass ``KeyManagerContract`` and say how to make yours.

Override ``caller`` for a key manager that goes by who calls, and ``held`` for one that has a
certificate.
"""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from glancelite import contract

#: what users write into properties
STRANGE = ('', ' ', '.', '..', '../secrets', '/etc/passwd', 'no-such-id', 'a' * 255, 'ключ',
           'a\0b', 'a\nb', '%s', '{0}', '-x', 'http://127.0.0.1:1/v1/secrets/x',
           '00000000-0000-4000-8000-000000000000', '{00000000-0000-4000-8000-000000000000}',
           'urn:uuid:00000000-0000-4000-8000-000000000000', '0' * 32)
#: seconds
PATIENCE = 60


class KeyManagerContract:

    @pytest.fixture
    def key_manager(self):
        raise NotImplementedError('override the `key_manager` fixture')

    @pytest.fixture
    def caller(self, context):
        """Somebody who may read what is ``held``."""
        return context(token='not-a-token-of-any-service')

    @pytest.fixture
    def held(self):
        """Id of a certificate that is there, and the certificate in DER; None if none is."""

    @pytest.mark.parametrize('strange', STRANGE, ids=ascii)
    @pytest.mark.parametrize('verb', ['certificate', 'delete'])
    def test_unknown_ids_raise_errors_of_the_contract(self, key_manager, caller, verb,
                                                           strange):
        began = time.monotonic()

        with pytest.raises((contract.NotFound, contract.Forbidden, contract.Unavailable)):
            getattr(key_manager, verb)(caller, strange)

        assert time.monotonic() - began < PATIENCE

    @pytest.mark.parametrize('verb', ['certificate', 'delete'])
    def test_works_without_a_caller(self, key_manager, verb):
        with pytest.raises((contract.NotFound, contract.Forbidden, contract.Unavailable)):
            getattr(key_manager, verb)(contract.Context(), STRANGE[-1])

    def test_a_certificate_is_returned_unchanged(self, key_manager, caller, held):
        wanted, answer = held or (STRANGE[-1], None)

        try:
            found = key_manager.certificate(caller, wanted)
        except contract.Error:
            found = None

        assert found == answer

    def test_many_can_ask_at_once(self, key_manager, caller, held):
        def ask(number):
            wanted, answer = held or (STRANGE[-1], None)
            asked = wanted if number % 2 else 'no-such-id'
            try:
                return key_manager.certificate(caller, asked) == answer
            except contract.Error:
                return None

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(16)))

        assert answers == [None, True if held else None] * 8

    def test_shows_no_secrets(self, key_manager, caller):
        try:
            said = [key_manager.health(), repr(key_manager)]
        except contract.Error as error:
            said = [str(error)]

        assert [text for text in said if caller.token and caller.token in text] == []
