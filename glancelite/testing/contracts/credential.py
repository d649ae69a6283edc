"""What every source of credentials must do.  Subclass ``CredentialContract``.

Override ``caller`` for a source that goes by who calls, and ``service_type`` where the catalogue
has something; what cannot be known without an identity service is not asked for.
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
        """A caller whose token the identity service has given out."""
        return context(token='not-a-token-of-any-service', catalog=())

    @pytest.fixture
    def service_type(self):
        """A type of service that the catalogue has; '' if there is no catalogue."""
        return ''

    @pytest.fixture
    def secrets(self, credential, caller):
        """What nobody may see."""
        given = [str(getattr(credential.options, opt.dest)) for opt in credential.OPTS
                 if opt.secret and getattr(credential.options, opt.dest)]
        return [*given, *([caller.token] if caller.token else [])]

    @pytest.mark.parametrize('long_running', [False, True])
    def test_tokens_can_be_values_of_headers(self, credential, caller,
                                                            long_running):
        found = credential.open(caller, long_running=long_running)
        if found is None:
            return

        try:
            tokens = [found.token(), found.token()]
        finally:
            found.close()

        assert all(isinstance(token, str) and token.isascii() and token.isprintable()
                   and token == token.strip() != '' for token in tokens)

    def test_works_without_a_caller_or_is_unsupported(self, credential):
        try:
            found = credential.open(None)
        except contract.Unsupported:
            return

        if found is not None:
            assert found.token()
            found.close()

    def test_operations_do_not_disturb_each_other(self, credential, caller):
        def once(number):
            found = credential.open(caller)
            if found is None:
                return True
            try:
                if number % 5 == 0:
                    found.invalidate()
                return bool(found.token())
            finally:
                found.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(once, range(40)))

    def test_one_operation_may_have_many_threads(self, credential, caller):
        found = credential.open(caller)
        if found is None:
            return

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            tokens = set(pool.map(lambda _: found.token(), range(40)))

        found.close()
        assert len(tokens) == 1

    @pytest.mark.parametrize('long_running', [False, True])
    def test_a_rejected_token_is_replaced(self, credential, caller, long_running):
        found = credential.open(caller, long_running=long_running)
        if found is None:
            return

        try:
            found.token()
            found.invalidate()
            assert found.token()
        finally:
            found.close()

    @pytest.mark.parametrize('long_running', [False, True])
    def test_finds_the_endpoint_of_a_service_or_is_unavailable(self, credential, caller,
                                                                  service_type, long_running):
        found = credential.open(caller, long_running=long_running)
        if found is None:
            return

        try:
            if service_type:
                for interface in 'public', 'internal', 'admin', 'publicURL':
                    place = found.endpoint(service_type, interface=interface)
                    assert place.startswith(('http://', 'https://'))
                    assert not place.endswith('/')
            for unknown in ({'service_type': 'no-such-service'},
                            {'service_type': service_type or 'image', 'region': 'Nowhere'}):
                with pytest.raises(contract.Unavailable):
                    found.endpoint(**unknown)
        finally:
            found.close()

    @pytest.mark.parametrize('long_running', [False, True])
    def test_may_be_closed_more_than_once(self, credential, caller, long_running):
        found = credential.open(caller, long_running=long_running)

        if found is not None:
            found.close()
            assert found.close() is None

    def test_a_session_can_be_used_or_is_unsupported(self, credential):
        try:
            session = credential.session()
        except contract.Unsupported:
            return

        assert session.get_token()

    def test_shows_no_secrets(self, credential, caller, secrets):
        found = credential.open(caller, long_running=True)

        said = [repr(credential), credential.health(), repr(found)]
        if found is not None:
            secrets.append(found.token())
            found.close()

        assert [text for text in said for secret in secrets if secret in text] == []
