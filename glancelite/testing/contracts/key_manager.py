"""The suite for key managers.  Subclass ``KeyManagerContract`` and override ``key_manager``.

Override ``caller`` for a key manager that uses the rights of the caller, and ``held`` for one
that has a certificate.
"""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from glancelite import contract

#: ids that users may write into properties
UNKNOWN = ('', ' ', '.', '..', '../secrets', '/etc/passwd', 'no-such-id', 'a' * 255, 'ключ',
           'a\0b', 'a\nb', '%s', '{0}', '-x', 'http://127.0.0.1:1/v1/secrets/x',
           '00000000-0000-4000-8000-000000000000', '{00000000-0000-4000-8000-000000000000}',
           'urn:uuid:00000000-0000-4000-8000-000000000000', '0' * 32)
TIMEOUT = 60    # seconds


class KeyManagerContract:

    @pytest.fixture
    def key_manager(self):
        raise NotImplementedError('override the `key_manager` fixture')

    @pytest.fixture
    def caller(self, context):
        """A caller who may read the certificate ``held``."""
        return context(token='not-a-token-of-any-service')

    @pytest.fixture
    def held(self):
        """The id of a certificate and its DER; None if there is no certificate."""

    @pytest.mark.parametrize('unknown', UNKNOWN, ids=ascii)
    @pytest.mark.parametrize('method', ['certificate', 'delete'])
    def test_unknown_ids_raise_errors_of_the_contract(self, key_manager, caller, method,
                                                           unknown):
        start = time.monotonic()

        with pytest.raises((contract.NotFound, contract.Forbidden, contract.Unavailable)):
            getattr(key_manager, method)(caller, unknown)

        assert time.monotonic() - start < TIMEOUT

    @pytest.mark.parametrize('method', ['certificate', 'delete'])
    def test_works_without_a_caller(self, key_manager, method):
        with pytest.raises((contract.NotFound, contract.Forbidden, contract.Unavailable)):
            getattr(key_manager, method)(contract.Context(), UNKNOWN[-1])

    def test_a_certificate_is_returned_unchanged(self, key_manager, caller, held):
        wanted, expected = held or (UNKNOWN[-1], None)

        try:
            certificate = key_manager.certificate(caller, wanted)
        except contract.Error:
            certificate = None

        assert certificate == expected

    def test_many_can_ask_at_once(self, key_manager, caller, held):
        def ask(number):
            wanted, expected = held or (UNKNOWN[-1], None)
            asked = wanted if number % 2 else 'no-such-id'
            try:
                return key_manager.certificate(caller, asked) == expected
            except contract.Error:
                return None

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(16)))

        assert answers == [None, True if held else None] * 8

    def test_shows_no_secrets(self, key_manager, caller):
        try:
            shown = [key_manager.health(), repr(key_manager)]
        except contract.Error as error:
            shown = [str(error)]

        assert [text for text in shown if caller.token and caller.token in text] == []
