"""Usage and schema documents."""

import json


def test_usage_is_always_empty(app, no_token):
    assert app.get('/v2/info/usage').json == {'usage': {}}
    no_token.get('/v2/info/usage', status=401)


def test_every_document_is_served_under_its_name(app, core):
    assert {'image', 'images', 'member', 'members', 'task', 'tasks', 'metadefs/namespace',
            'metadefs/tags'} <= core.documents.keys()
    for name, document in core.documents.items():
        answer = app.get(f'/v2/schemas/{name}')

        assert answer.json == json.loads(document)
        assert answer.content_type == 'application/json'


def test_documents_require_authentication(no_token):
    no_token.get('/v2/schemas/image', status=401)
