"""The Image API in a plain gunicorn, for operators who run all services in it.

glancelite-api does not need it; it is faster, and lets transfers finish when it reloads.
The configuration is read from GLANCELITE_CONFIG_DIR, by default /etc/glancelite:

    gunicorn --config glancelite.conf.py glancelite.wsgi:application
"""

bind = '0.0.0.0:9292'
workers = 4
# One thread serves one request, and a transfer is a request. The default of gunicorn is one
# process that serves one request at a time: one slow upload would stop the service.
worker_class = 'gthread'
threads = 64
# The time after which a worker that does not answer at all is replaced; transfers may last longer.
timeout = 300
graceful_timeout = 60
keepalive = 60
# Headers with service catalogues can be long.
limit_request_field_size = 16384
limit_request_line = 8190
