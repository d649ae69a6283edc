"""The controllers are exactly the supported operations of the Image API."""

import inspect

from glancelite.api import v2

NS = '/metadefs/namespaces'
ROUTES = {
    ('GET', '/images'): 200, ('POST', '/images'): 201,
    ('GET', '/images/{}'): 200, ('PATCH', '/images/{}'): 200, ('DELETE', '/images/{}'): 204,
    ('GET', '/images/{}/file'): 200, ('PUT', '/images/{}/file'): 204,
    ('POST', '/images/{}/actions/deactivate'): 204,
    ('POST', '/images/{}/actions/reactivate'): 204,
    ('PUT', '/images/{}/tags/{}'): 204, ('DELETE', '/images/{}/tags/{}'): 204,
    ('GET', '/images/{}/members'): 200, ('POST', '/images/{}/members'): 200,
    ('GET', '/images/{}/members/{}'): 200, ('PUT', '/images/{}/members/{}'): 200,
    ('DELETE', '/images/{}/members/{}'): 204,
    ('GET', '/images/{}/locations'): 200, ('POST', '/images/{}/locations'): 202,
    ('PUT', '/images/{}/stage'): 204, ('POST', '/images/{}/import'): 202,
    ('GET', '/images/{}/tasks'): 200,
    ('GET', '/tasks'): 200, ('POST', '/tasks'): 201, ('GET', '/tasks/{}'): 200,
    ('POST', '/tasks/{}/actions/cancel'): 202, ('POST', '/tasks/{}/actions/retry'): 202,
    ('DELETE', '/stores/{}/{}'): 204,
    ('GET', NS): 200, ('POST', NS): 201,
    **{(verb, NS + '/{}'): status
       for verb, status in (('GET', 200), ('PUT', 200), ('DELETE', 204))},
    **{(verb, NS + '/{}/' + items): status for items in ('objects', 'properties', 'tags')
       for verb, status in (('GET', 200), ('POST', 201), ('DELETE', 204))},
    **{(verb, NS + '/{}/' + items + '/{}'): status for items in ('objects', 'properties', 'tags')
       for verb, status in (('GET', 200), ('PUT', 200), ('DELETE', 204))},
    ('POST', NS + '/{}/tags/{}'): 201,
    ('GET', NS + '/{}/resource_types'): 200, ('POST', NS + '/{}/resource_types'): 201,
    ('DELETE', NS + '/{}/resource_types/{}'): 204, ('GET', '/metadefs/resource_types'): 200,
    ('GET', '/info/stores'): 200, ('GET', '/info/stores/detail'): 200,
    ('GET', '/info/import'): 200, ('GET', '/info/usage'): 200, ('GET', '/openapi.json'): 200,
}


def operations(core):
    return {(verb, path): method for verb, path, method in v2.root(core).operations()}


def test_every_controller_is_an_operation_and_vice_versa(core):
    schemas = {('GET', f'/schemas/{name}'): 200 for name in core.documents}

    statuses = {route: method.operation.statuses[0] for route, method in operations(core).items()}

    assert statuses == ROUTES | schemas


def test_every_operation_is_reached_by_its_path(core):
    class FakeRequest:
        method = None

    root = v2.root(core)
    for verb, path, method in root.operations():
        FakeRequest.method = verb

        controller, arguments = root._route(path.split('/')[1:], FakeRequest)

        assert controller == method
        assert arguments == ['{}'] * path.count('{}')


def test_every_operation_has_the_request_and_the_variables_as_parameters(core):
    for (_, path), method in operations(core).items():
        parameters = list(inspect.signature(method).parameters)

        assert parameters[0] == 'request'
        assert len(parameters) == 1 + path.count('{}')


def test_every_operation_has_a_summary_and_known_bodies(core):
    for method in operations(core).values():
        declared = method.operation

        assert declared.summary.endswith('.')
        for body in filter(None, (declared.accepts, declared.returns)):
            assert body in ('object', 'patch', 'bytes') or body in core.documents
