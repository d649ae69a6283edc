"""The suite for sources of credentials.  Subclass ``CredentialContract``.

Override ``caller`` for a source that uses the rights of the caller, and ``service_type`` if
there is a catalog.  The suite needs no identity service otherwise.
"""

from __future__ import annotations

import concurrent.futures

import pytest

from glancelite import contract


class CredentialContract:

    @pytest.fixture
    def credential(self):
        raise NotImplementedError('override the `credential` fixture')

    @pytest.fixture
    def caller(self, context):
        """A caller with a token of the identity service."""
        return context(token='not-a-token-of-any-service', catalog=())

    @pytest.fixture
    def service_type(self):
        """A type of service in the catalog; '' if there is no catalog."""
        return ''

    @pytest.fixture
    def secrets(self, credential, caller):
        """Texts that must not be shown."""
        given = [str(getattr(credential.options, opt.dest)) for opt in credential.OPTS
                 if opt.secret and getattr(credential.options, opt.dest)]
        return [*given, *([caller.token] if caller.token else [])]

    @pytest.mark.parametrize('long_running', [False, True])
    def test_tokens_can_be_values_of_headers(self, credential, caller,
                                                            long_running):
        opened = credential.open(caller, long_running=long_running)
        if opened is None:
            return

        try:
            tokens = [opened.token(), opened.token()]
        finally:
            opened.close()

        assert all(isinstance(token, str) and token.isascii() and token.isprintable()
                   and token == token.strip() != '' for token in tokens)

    def test_works_without_a_caller_or_is_unsupported(self, credential):
        try:
            opened = credential.open(None)
        except contract.Unsupported:
            return

        if opened is not None:
            assert opened.token()
            opened.close()

    def test_operations_do_not_disturb_each_other(self, credential, caller):
        def once(number):
            opened = credential.open(caller)
            if opened is None:
                return True
            try:
                if number % 5 == 0:
                    opened.invalidate()
                return bool(opened.token())
            finally:
                opened.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(once, range(40)))

    def test_one_operation_may_have_many_threads(self, credential, caller):
        opened = credential.open(caller)
        if opened is None:
            return

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            tokens = set(pool.map(lambda _: opened.token(), range(40)))

        opened.close()
        assert len(tokens) == 1

    @pytest.mark.parametrize('long_running', [False, True])
    def test_a_rejected_token_is_replaced(self, credential, caller, long_running):
        opened = credential.open(caller, long_running=long_running)
        if opened is None:
            return

        try:
            opened.token()
            opened.invalidate()
            assert opened.token()
        finally:
            opened.close()

    @pytest.mark.parametrize('long_running', [False, True])
    def test_finds_the_endpoint_of_a_service_or_is_unavailable(self, credential, caller,
                                                                  service_type, long_running):
        opened = credential.open(caller, long_running=long_running)
        if opened is None:
            return

        try:
            if service_type:
                for interface in 'public', 'internal', 'admin', 'publicURL':
                    url = opened.endpoint(service_type, interface=interface)
                    assert url.startswith(('http://', 'https://'))
                    assert not url.endswith('/')
            for unknown in ({'service_type': 'no-such-service'},
                            {'service_type': service_type or 'image', 'region': 'Nowhere'}):
                with pytest.raises(contract.Unavailable):
                    opened.endpoint(**unknown)
        finally:
            opened.close()

    @pytest.mark.parametrize('long_running', [False, True])
    def test_may_be_closed_more_than_once(self, credential, caller, long_running):
        opened = credential.open(caller, long_running=long_running)

        if opened is not None:
            opened.close()
            assert opened.close() is None

    def test_a_session_can_be_used_or_is_unsupported(self, credential):
        try:
            session = credential.session()
        except contract.Unsupported:
            return

        assert session.get_token()

    def test_shows_no_secrets(self, credential, caller, secrets):
        opened = credential.open(caller, long_running=True)

        shown = [repr(credential), credential.health(), repr(opened)]
        if opened is not None:
            secrets.append(opened.token())
            opened.close()

        assert [text for text in shown for secret in secrets if secret in text] == []
