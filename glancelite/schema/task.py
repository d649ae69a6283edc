"""The attributes of tasks."""

from glancelite.schema.fields import UUID, Field, Resource

TYPES = ('import', 'api_image_import', 'location_import')
STATUSES = ('pending', 'processing', 'success', 'failure')

FIELDS = (
    Field('id', description='The id of the task, a UUID.', rules={'pattern': UUID}),
    Field('type', description='The kind of the task.', enum=TYPES),
    Field('status', description='The status of the task.', enum=STATUSES),
    Field('input', 'object', 'Parameters of the task.', nullable=True),
    Field('result', 'object', 'Result of the task.', nullable=True),
    Field('owner', description='The project that requested the task.'),
    Field('message', description='A readable description of the error.'),
    Field('image_id', description='The image of the task.'),
    Field('request_id', description='The id of the request.'),
    Field('user_id', description='The user who requested the task.'),
    Field('expires_at', description='When the task may be deleted.', nullable=True),
    Field('created_at', description='When the task was created.'),
    Field('updated_at', description='When the task was last changed.'),
    Field('self', read_only=True, value=None),
    Field('schema', read_only=True, value=None),
)

#: attributes that listings omit
DETAILS = frozenset({'input', 'result', 'message'})

RESOURCE = Resource('task', FIELDS)
LISTED = Resource('task', tuple(field for field in FIELDS if field.name not in DETAILS))
