"""Translates errors of Ceph by their ``errno``."""

from __future__ import annotations

import errno
import logging

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
#: the cluster has blocklisted this client; or it did not answer, and there may be locks and
#: watches that only a new client can get rid of
_CONNECTION_LOST = {errno.ESHUTDOWN, errno.ENOTCONN, errno.ETIMEDOUT}


class ClusterTimeout(contract.Unavailable):
    """The cluster did not answer in time."""


def translate_error(store: str, code: int, error: object,
                    forbidden: type[contract.Error] = contract.Unavailable) -> contract.Error:
    """Return an error of the contract; log the details of serious ones.

    :param store: the name of the store, for the log.
    :param code: the ``errno``, positive or negative.
    :param error: for the log.
    :param forbidden: class for a lack of permissions.
    """
    code = abs(code)
    if code in (errno.ENOENT, errno.ENAMETOOLONG):
        return store_rules.no_data()
    if code == errno.EEXIST:
        return store_rules.key_in_use()
    LOG.error('store %s: %s', store, error)
    if code in _FULL:
        return contract.TooLarge('The store is full.')
    if code == errno.EBUSY:
        return contract.InUse('The data is in use.')
    if code in _FORBIDDEN:
        return forbidden('The store does not allow the Image service to do this.')
    if code == errno.ETIMEDOUT:
        return ClusterTimeout('The store does not answer.')
    return contract.Unavailable('The store cannot be used now.')


def is_connection_lost(code: int) -> bool:
    """Return whether a new connection is needed after an error with this ``errno``."""
    return abs(code) in _CONNECTION_LOST


def connection_failure(code: int) -> str:
    """Return the text of an error for a connection that failed with this ``errno``."""
    if code == errno.ETIMEDOUT:
        return 'The store does not answer.'
    if code in _FORBIDDEN:
        return 'The store does not accept the key of the Image service.'
    if code == errno.ENOENT:
        return ('There is no ceph.conf (rbd_store_ceph_conf), or no keyring with the key of the '
                'cephx user (rbd_store_user).')
    return 'The store cannot be reached.'
