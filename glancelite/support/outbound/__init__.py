"""Where users may send us on the web, and a client that goes nowhere else.

A URL that a user names is opened from inside the operator's network. Whatever opens one,
the store ``http`` among them, uses ``Client``, which keeps ``Rules`` for every connection:
the address that was checked is the one that is connected to, and so after every redirect.
"""

from glancelite.support.outbound.client import Client, Reply
from glancelite.support.outbound.rules import OPTS, SECTION, Rules, Target, register

__all__ = ['OPTS', 'SECTION', 'Client', 'Reply', 'Rules', 'Target', 'register']
