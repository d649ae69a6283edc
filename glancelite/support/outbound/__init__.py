"""HTTP requests to URLs that users name, restricted by ``[import_filtering_opts]``.

Such a request is sent from inside the operator's network.  Code that sends one, such as
the store ``http``, uses ``Client``.  It applies ``Rules`` to every connection, also after
redirects, and connects only to the addresses that were checked.
"""

from glancelite.support.outbound.client import Client, Response
from glancelite.support.outbound.options import checks_certificates, client_opts, make_client
from glancelite.support.outbound.rules import OPTS, SECTION, Rules, Target, register

__all__ = ['OPTS', 'SECTION', 'Client', 'Response', 'Rules', 'Target', 'checks_certificates',
           'client_opts', 'make_client', 'register']
