"""The store ``sqlite``: images in one SQLite file, in blocks."""

from __future__ import annotations

import contextlib
import pathlib
import re
import sqlite3

from oslo_config import cfg

from glancelite import contract

BLOCK = 1 << 20
ZEROS = bytes(BLOCK)

#: An image without a size is still on its way, and nobody sees it.  AUTOINCREMENT: a number
#: never returns, so that whoever reads an image which is deleted does not get another one.
SCHEMA = """
PRAGMA page_size = 65536;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS image (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, size INTEGER);
CREATE TABLE IF NOT EXISTS block (
    image INTEGER NOT NULL REFERENCES image ON DELETE CASCADE, place INTEGER NOT NULL, data BLOB,
    PRIMARY KEY (image, place));
PRAGMA user_version = 1;
COMMIT;
"""


class SQLiteStore(contract.Store):
    """Images in the blocks of one SQLite file: for one host with few and small images.

    Read it as an example: each comment says which clause of the contract is kept, and how.
    """

    # The version of the contract that this was written for. A service with another version
    # refuses the plugin.
    CONTRACT = 1
    SCHEMES = ('sqlite',)
    # No 'share': SQLite knows no users. What is not declared is never asked for.
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    OPTS = (
        cfg.StrOpt('sqlite_path', required=True,
                   help='File that holds the images. It is made where it is missing, but its '
                        'directory is not: that would be a disk that is not mounted.'),
        cfg.StrOpt('sqlite_label',
                   help='What the addresses of images begin with, so never to be changed: small '
                        'letters, digits and "-". By default the name of the file.'),
        cfg.FloatOpt('sqlite_timeout', default=10, min=0.1,
                     help='Seconds to wait for another writer.'),
    )

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        # Nothing is opened: a backend that is down must not stop the start. What is wrong with
        # the options does, with a sentence that says what would be right.
        self._path = pathlib.Path(options.sqlite_path)
        self._label = options.sqlite_label or self._path.stem
        if not self._path.is_absolute():
            raise contract.Misconfigured(
                f'[{self.name}] sqlite_path must begin with "/", but is {self._path}')
        if not re.fullmatch('[a-z0-9-]+', self._label):
            raise contract.Misconfigured(f'[{self.name}] sqlite_label must be small letters, '
                                         f'digits and "-", but is {self._label!r}')
        self._address = re.compile(
            rf'sqlite://{self._label}/([A-Za-z0-9][A-Za-z0-9._-]{{0,254}})', re.ASCII)

    def write(self, key, chunks, *, size=None, ctx=None):
        total = 0
        with self._open() as file:
            # The row takes the key: of several writers, all but one get a Conflict here.
            number = run(file, 'INSERT INTO image (key) VALUES (?)', key).lastrowid
            try:
                # Each block is a transaction of its own: nothing is locked while the source lets
                # us wait. None of them need reach the disk before the last one does.
                run(file, 'PRAGMA synchronous = NORMAL')
                # What the source raises passes through: only our own calls are translated.
                for place, block in enumerate(blocks(chunks)):
                    run(file, 'INSERT INTO block VALUES (?, ?, ?)', number, place,
                        None if block == ZEROS else block)
                    total += len(block)
                # One statement makes it whole and visible, and with it, all is on the disk.
                run(file, 'PRAGMA synchronous = FULL')
                if not run(file, 'UPDATE image SET size = ? WHERE number = ?',
                           total, number).rowcount:
                    raise contract.Conflict('The image was discarded while it was written.')
            except BaseException:   # KeyboardInterrupt is no reason to leave something
                with contextlib.suppress(contract.Error):   # the first failure counts
                    run(file, 'DELETE FROM image WHERE number = ?', number)
                raise
        return contract.WriteResult(f'sqlite://{self._label}/{key}', total)

    def read(self, url, *, offset=0, length=None, ctx=None):
        # All that can be wrong is said now, and not with the first block.
        number, size = self._find(url)
        if offset > size:
            raise contract.RangeNotSatisfiable('The image is shorter than that.', size=size)
        return self._part(number, offset, size if length is None else min(size, offset + length))

    def _part(self, number, start, end):
        """The bytes from ``start`` to ``end``; between two blocks nothing is locked."""
        with self._open() if start < end else contextlib.nullcontext() as file:
            while start < end:
                place, skip = divmod(start, BLOCK)
                found = run(file, 'SELECT data FROM block WHERE image = ? AND place = ?',
                            number, place).fetchone()
                if found is None:
                    raise contract.NotFound('The image was deleted while it was read.')
                data = (found[0] or ZEROS)[skip:skip + end - start]
                start += len(data)
                yield data

    def size(self, url, *, ctx=None):
        return self._find(url)[1]

    def delete(self, url, *, ctx=None):
        with self._open() as file:
            if not run(file, 'DELETE FROM image WHERE key = ? AND size IS NOT NULL',
                       self._key(url)).rowcount:
                raise contract.NotFound('There is no image.')

    def discard(self, key, *, ctx=None):
        # Whole or not: the core says that nobody needs it, and that no writer lives.
        with self._open() as file:
            run(file, 'DELETE FROM image WHERE key = ?', key)

    def owns(self, url):
        # Of two stores, only one: the label belongs to one file, as both are claimed below.
        return self._address.fullmatch(url) is not None

    def adopt(self, url, *, ctx=None):
        # A user says that an image is in the file already. Only the text is looked at, and the
        # core asks for size() later. There is one way to write an address, and this is it.
        scheme, _, rest = url.partition('://')
        label, _, key = rest.partition('/')
        url = f'{scheme.lower()}://{label.lower()}/{key}'
        self._key(url)
        return url

    def exclusive_resources(self):
        # A service with two stores that have one of these in common does not start.
        return {f'sqlite file {self._path.resolve()}', f'sqlite label {self._label}'}

    def properties(self):
        return {'label': self._label, 'block_size': BLOCK}

    def health(self):
        with self._open() as file:
            count, size = run(file, 'SELECT count(*), total(size) FROM image').fetchone()
        return f'{count} images, {int(size) >> 20} MiB'

    def _key(self, url):
        address = self._address.fullmatch(url)
        if address is None:
            raise contract.Invalid('This address is none of this store.')
        return address[1]

    def _find(self, url):
        key = self._key(url)
        with self._open() as file:
            found = run(file, 'SELECT number, size FROM image WHERE key = ? AND size IS NOT NULL',
                        key).fetchone()
        if found is None:
            raise contract.NotFound('There is no image.')
        return found

    @contextlib.contextmanager
    def _open(self):
        """A connection of this operation's own: threads and processes share nothing else."""
        try:
            file = sqlite3.connect(self._path, timeout=self.options.sqlite_timeout,
                                   isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise meaning(error) from error
        with contextlib.closing(file):
            run(file, 'PRAGMA foreign_keys = ON')
            if not run(file, 'PRAGMA user_version').fetchone()[0]:
                for statement in SCHEMA.split(';'):
                    run(file, statement)
            yield file


def run(file, statement, *values):
    """Execute; the only place where SQLite's errors can come from, and where they end."""
    try:
        return file.execute(statement, values)
    except sqlite3.Error as error:
        raise meaning(error) from error


def meaning(error):
    """What to tell the core; users read the text, so there are no paths in it."""
    code = getattr(error, 'sqlite_errorcode', None)
    if isinstance(error, sqlite3.IntegrityError):
        return contract.Conflict('The key is taken, or was discarded meanwhile.')
    if code == sqlite3.SQLITE_FULL:
        return contract.TooLarge('There is no room for the image.')
    return contract.Unavailable(f'SQLite says: {error}')


def blocks(chunks):
    """The same bytes in blocks; never more than one block and one chunk are held."""
    held = bytearray()
    for chunk in chunks:
        if not held and len(chunk) == BLOCK:    # as the core cuts them
            yield chunk
            continue
        held += chunk
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)
