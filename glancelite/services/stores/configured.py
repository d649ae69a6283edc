"""One configured store: its driver, when it can be built, and what is known of its health."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Store, WriteResult
from glancelite.services import border

LOG = logging.getLogger(__name__)

#: seconds during which a store that failed is tried last
SUSPECT_TIME = 15.0
#: seconds between two tries to build a driver: the first pause, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0


class ConfiguredStore:
    """A store with the name that the operator gave it.

    If the driver cannot be built, the service starts without it: the store accepts and
    returns no data until a later try succeeds.

    :param kind: the class of the driver.
    :param make: builds the driver; raises ``Misconfigured`` or an ``Error``.
    :param read_only: do not write or delete, whatever the driver can do.
    :param on_built: called with each new driver before it is used; if it raises, it has
        closed the driver, which counts as not built.
    """

    def __init__(self, name: str, kind: type[Store], make: Callable[[], Store], *,
                 driver_name: str = '', description: str | None = None, weight: int = 0,
                 read_only: bool = False, on_built: Callable[[Store], None] | None = None,
                 clock: Callable[[], float] = time.monotonic):
        self.name = name
        self.kind = kind
        self.driver_name = driver_name or name
        self.description = description
        self.weight = weight
        self._read_only = read_only
        self._make = make
        self._on_built = on_built
        self._clock = clock
        self._lock = threading.Lock()
        self._driver: Store | None = None
        self._failure: contract.Misconfigured | contract.Error | None = None
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._suspect_until = 0.0

    @property
    def driver(self) -> Store:
        """The driver; built now if there is none and a retry is due.

        :raises Misconfigured, Error: it cannot be built.
        """
        driver = self._driver
        return self._build() if driver is None else driver

    def _build(self) -> Store:
        with self._lock:
            if self._driver is not None:
                return self._driver
            if self._failure is not None and self._clock() < self._retry_at:
                raise type(self._failure)(str(self._failure))   # its traceback must not grow
            try:
                self._driver = self._new_driver()
            except (contract.Misconfigured, contract.Error) as error:
                if self._failure is not None:   # the first failure is up to the caller
                    LOG.error('store %s still cannot be used: %s', self.name, error)
                self._failure = error
                self._retry_at = self._clock() + self._pause
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
                raise
            if self._failure is not None:
                LOG.warning('store %s can be used now', self.name)
                self._failure = None
            return self._driver

    def _new_driver(self) -> Store:
        driver = self._make()
        if self._on_built is not None:
            self._on_built(driver)
        return driver

    def writer(self) -> Store:
        """Return the driver, for writing.

        :raises ReadOnly: it accepts no data, or its configuration is invalid.
        :raises Unavailable: it does not answer.
        """
        if self.is_writable:
            with contextlib.suppress(contract.Misconfigured):
                return self.driver
        raise contract.ReadOnly(f'adding images to the store {self.name!r} is disabled')

    def reader(self) -> Store:
        """Return the driver, for reading.

        :raises Unavailable: it does not answer, or its configuration is invalid.
        """
        try:
            return self.driver
        except contract.Misconfigured:
            raise contract.Unavailable(f'The store {self.name} cannot be used now.') from None

    @property
    def is_built(self) -> bool:
        """True if there is a driver."""
        return self._driver is not None

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities of the driver, without ``write`` if the store is read-only."""
        capabilities = (self._driver or self.kind).CAPABILITIES
        return capabilities - {'write'} if self._read_only else capabilities

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes of its URLs."""
        return (self._driver or self.kind).SCHEMES

    @property
    def is_writable(self) -> bool:
        """True if images may be added."""
        return 'write' in self.capabilities

    @property
    def is_healthy(self) -> bool:
        """True unless there is no driver, or an operation failed a moment ago."""
        return self._driver is not None and (
            not self._suspect_until or self._clock() >= self._suspect_until)

    def record_result(self, error: BaseException | None) -> None:
        """Remember how the last operation ended; None for success."""
        if error is None:
            self._suspect_until = 0.0
        elif isinstance(error, (contract.Unavailable, contract.Misconfigured, OSError)):
            self._suspect_until = self._clock() + SUSPECT_TIME

    def health(self) -> str:
        """Check the backend, and remember the result.

        :raises Misconfigured, Error: as the driver does, or building it.
        """
        try:
            driver = self.driver
            with border.CallingStore(driver):
                text = driver.health()
        except Exception as error:
            self.record_result(error)
            raise
        self.record_result(None)
        return text

    def owns(self, url: str) -> bool:
        """Return whether ``url`` belongs to this store; False without a driver, or if it fails.
        """
        driver = self._driver
        if driver is None:
            return False
        try:
            with border.CallingStore(driver):
                return bool(driver.owns(url))
        except contract.Error:
            return False

    def properties(self) -> Mapping[str, object]:
        """Return the properties of the driver; empty without a driver, or if it fails."""
        driver = self._driver
        if driver is None:
            return {}
        try:
            with border.CallingStore(driver):
                properties = driver.properties()
            if border.is_json_object(properties):
                return properties
            border.wrong_answer(driver, 'properties', properties)
        except contract.Error:
            pass
        return {}

    # what the driver does, with its errors and results checked; ``reader`` and ``writer``
    # have the errors for a store without a driver

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None,
              ctx: Context | None) -> WriteResult:
        """Write data under a key.

        An error of ``chunks`` passes unchanged, whatever the driver makes of it.
        """
        driver = self.writer()
        source = border.Source(chunks)
        try:
            result = driver.write(key, source, size=size, ctx=ctx)
        except BaseException as error:
            if source.failure is None and not border.passes(error):
                raise border.unusable_after(driver, error) from error
            if source.failure is None or source.failure is error:
                raise
        if source.failure is not None:
            raise source.failure
        if not source.ended:
            raise border.wrong_answer(driver, 'write, before the end of the data,', result)
        with border.CallingStore(driver):
            return border.check_write(driver, result)

    def read(self, url: str, *, ctx: Context | None, **part: int) -> Iterator[bytes]:
        """Open data; ``part`` may have ``offset`` and ``length``."""
        driver = self.reader()
        with border.CallingStore(driver):
            return border.check_chunks(driver, driver.read(url, ctx=ctx, **part))

    def size(self, url: str, *, ctx: Context | None) -> int:
        """Return the size of data in bytes."""
        driver = self.reader()
        with border.CallingStore(driver):
            size = driver.size(url, ctx=ctx)
        if not border.is_size(size):
            raise border.wrong_answer(driver, 'size', size)
        return size

    def delete(self, url: str, *, ctx: Context | None) -> None:
        """Delete data."""
        driver = self.reader()
        with border.CallingStore(driver):
            driver.delete(url, ctx=ctx)

    def discard(self, key: str, *, ctx: Context | None) -> None:
        """Delete what an upload left under a key."""
        driver = self.reader()
        with border.CallingStore(driver):
            driver.discard(key, ctx=ctx)

    def adopt(self, url: str, *, ctx: Context | None = None) -> str:
        """Return the URL to record for data that is in the backend already."""
        driver = self.reader()
        with border.CallingStore(driver):
            adopted = driver.adopt(url, ctx=ctx)
        if not border.is_url(adopted):
            raise border.wrong_answer(driver, 'adopt', adopted)
        return adopted

    def share(self, url: str, *, public: bool, projects: Sequence[str],
              ctx: Context | None) -> None:
        """Give read access to data."""
        driver = self.reader()
        with border.CallingStore(driver):
            driver.share(url, public=public, projects=projects, ctx=ctx)
