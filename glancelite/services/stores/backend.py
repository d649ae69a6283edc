"""One configured store: its driver, once that can be had, and what is known of its health."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from glancelite import contract
from glancelite.contract import Store

LOG = logging.getLogger(__name__)

#: seconds for which a store that did not answer is asked last
SUSPECT = 15.0
#: seconds between two tries to build a driver: the first wait, and the longest
RETRY = 5.0, 300.0


class Backend:
    """A store by the name that the operator gave it.

    A driver that cannot be built takes no part of the service with it: the
    store takes no data and does not answer, until a later try succeeds.

    :param kind: the driver's class.
    :param make: builds the driver; raises ``Misconfigured`` or an ``Error``.
    :param read_only: keep it as it is, whatever the driver can.
    """

    def __init__(self, name: str, kind: type[Store], make: Callable[[], Store], *,
                 driver_name: str = '', description: str | None = None, weight: int = 0,
                 read_only: bool = False, clock: Callable[[], float] = time.monotonic):
        self.name = name
        self.kind = kind
        self.driver_name = driver_name or name
        self.description = description
        self.weight = weight
        self._read_only = read_only
        self._make = make
        self._clock = clock
        #: looks at each new driver; what it raises, its making has raised
        self.approve: Callable[[Store], None] = lambda driver: None
        self._lock = threading.Lock()
        self._driver: Store | None = None
        self._fault: contract.Misconfigured | contract.Error | None = None
        self._pause = RETRY[0]
        self._try_at = 0.0
        self._suspect_until = 0.0

    @property
    def driver(self) -> Store:
        """The driver; built now if there is none and it is time for another try.

        :raises Misconfigured, Error: it cannot be built.
        """
        driver = self._driver
        return self._set_up() if driver is None else driver

    def _set_up(self) -> Store:
        with self._lock:
            if self._driver is not None:
                return self._driver
            if self._fault is not None and self._clock() < self._try_at:
                raise type(self._fault)(str(self._fault))   # its traceback must not grow
            try:
                driver = self._make()
                try:
                    self.approve(driver)
                except BaseException:
                    driver.close()
                    raise
                self._driver = driver
            except (contract.Misconfigured, contract.Error) as error:
                LOG.error('store %s cannot be used: %s', self.name, error)
                self._fault = error
                self._try_at = self._clock() + self._pause
                self._pause = min(self._pause * 2, RETRY[1])
                raise
            if self._fault is not None:
                LOG.warning('store %s can be used now', self.name)
                self._fault = None
            return self._driver

    def writer(self) -> Store:
        """The driver, to give data to.

        :raises ReadOnly: it takes none, or its configuration does not do.
        :raises Unavailable: it does not answer.
        """
        if self.takes_data:
            try:
                return self.driver
            except contract.Misconfigured:
                pass
        raise contract.ReadOnly(f'adding images to the store {self.name!r} is disabled')

    def reader(self) -> Store:
        """The driver, to take data from.

        :raises Unavailable: it does not answer, or its configuration does not do.
        """
        try:
            return self.driver
        except contract.Misconfigured:
            raise contract.Unavailable(f'The store {self.name} cannot be used now.') from None

    @property
    def built(self) -> bool:
        """Is there a driver?"""
        return self._driver is not None

    @property
    def abilities(self) -> frozenset[str]:
        """The capabilities, less what the operator has switched off."""
        found = (self._driver or self.kind).CAPABILITIES
        return found - {'write'} if self._read_only else found

    @property
    def schemes(self) -> tuple[str, ...]:
        """What its URLs start with."""
        return (self._driver or self.kind).SCHEMES

    @property
    def takes_data(self) -> bool:
        """May images be added?"""
        return 'write' in self.abilities

    @property
    def well(self) -> bool:
        """Is there no reason to believe that it does not answer?"""
        return self._driver is not None and (
            not self._suspect_until or self._clock() >= self._suspect_until)

    def note(self, error: BaseException | None) -> None:
        """Remember how the last operation went; None for well."""
        if error is None:
            self._suspect_until = 0.0
        elif isinstance(error, (contract.Unavailable, contract.Misconfigured, OSError)):
            self._suspect_until = self._clock() + SUSPECT

    def health(self) -> str:
        """Ask it; what it says is remembered.

        :raises Misconfigured, Error: as the driver does, or its making.
        """
        try:
            said = self.driver.health()
        except Exception as error:
            self.note(error)
            raise
        self.note(None)
        return said

    def owns(self, url: str) -> bool:
        """Is ``url`` one of this store's? Of a store without driver nobody knows."""
        return self._driver is not None and self._driver.owns(url)

    def properties(self) -> Mapping[str, object]:
        """What the driver says of itself; nothing while there is none."""
        return self._driver.properties() if self._driver is not None else {}
