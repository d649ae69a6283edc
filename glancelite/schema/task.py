"""Tasks: work that goes on after its request was answered."""

from glancelite.schema.fields import UUID, Field, Resource

TYPES = ('import', 'api_image_import', 'location_import')
STATUSES = ('pending', 'processing', 'success', 'failure')

FIELDS = (
    Field('id', description='The id of the task, a UUID.', rules={'pattern': UUID}),
    Field('type', description='What kind of work it is.', enum=TYPES),
    Field('status', description='How far the work has come.', enum=STATUSES),
    Field('input', 'object', 'What the work was asked to do.', nullable=True),
    Field('result', 'object', 'What came of it.', nullable=True),
    Field('owner', description='The project that asked for it.'),
    Field('message', description='What went wrong, for people to read.'),
    Field('image_id', description='The image that it works on.'),
    Field('request_id', description='The request that asked for it.'),
    Field('user_id', description='The user who asked for it.'),
    Field('expires_at', description='When the task may be forgotten.', nullable=True),
    Field('created_at', description='When it was asked for.'),
    Field('updated_at', description='When it last got on.'),
    Field('self', read_only=True, value=None),
    Field('schema', read_only=True, value=None),
)

#: what a listing leaves out
DETAILS = frozenset({'input', 'result', 'message'})

RESOURCE = Resource('task', FIELDS)
LISTED = Resource('task', tuple(field for field in FIELDS if field.name not in DETAILS))
