"""What the service says of itself."""

import json


def test_usage_is_empty_without_limits_of_an_identity_service(app, nobody):
    assert app.get('/v2/info/usage').json == {'usage': {}}
    nobody.get('/v2/info/usage', status=401)


def test_every_document_is_served_under_its_name(app, core):
    assert {'image', 'images', 'member', 'members', 'task', 'tasks', 'metadefs/namespace',
            'metadefs/tags'} <= core.documents.keys()
    for name, document in core.documents.items():
        answer = app.get(f'/v2/schemas/{name}')

        assert answer.json == json.loads(document)
        assert answer.content_type == 'application/json'


def test_documents_are_for_callers_who_are_known(nobody):
    nobody.get('/v2/schemas/image', status=401)
