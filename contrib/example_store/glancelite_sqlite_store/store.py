"""The store ``sqlite``: images in one SQLite file, in blocks."""

from __future__ import annotations

import contextlib
import pathlib
import re
import sqlite3

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules

BLOCK = 1 << 20
ZEROS = bytes(BLOCK)

#: An image without a size is incomplete and cannot be read.  AUTOINCREMENT: a number is never
#: used again, so that a reader of a deleted image does not get the data of another one.
SCHEMA = """
PRAGMA page_size = 65536;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS image (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, size INTEGER);
CREATE TABLE IF NOT EXISTS block (
    image INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    position INTEGER NOT NULL, data BLOB,
    PRIMARY KEY (image, position));
PRAGMA user_version = 1;
COMMIT;
"""


class SQLiteStore(contract.Store):
    """Stores images in one SQLite file: for one host with few and small images.

    The comments explain which rules of the contract the code follows.
    """

    # The version of the contract. A service with another version refuses the plugin.
    CONTRACT = 1
    SCHEMES = ('sqlite',)
    # No 'share': SQLite has no users. The service does not use what is not declared.
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    OPTS = (
        cfg.StrOpt('sqlite_path', required=True,
                   help='File that contains the images. The first upload creates it if it is '
                        'missing, but not its directory: it may be a disk that is not mounted.'),
        cfg.StrOpt('sqlite_label',
                   help='First part of the URLs of images, which must not be changed: small '
                        'letters, digits and "-". By default the name of the file.'),
        cfg.FloatOpt('sqlite_timeout', default=10, min=0.1,
                     help='Seconds to wait for another writer.'),
    )

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        # Nothing is opened: a backend that is down must not stop the start. Invalid options do,
        # with a sentence that says what would be valid.
        self._path = pathlib.Path(options.sqlite_path)
        self._seen = False
        self._label = options.sqlite_label or self._path.stem
        if not self._path.is_absolute():
            raise contract.Misconfigured(
                f'[{self.name}] sqlite_path must begin with "/", but is {self._path}')
        if not re.fullmatch('[a-z0-9-]+', self._label):
            raise contract.Misconfigured(f'[{self.name}] sqlite_label must be small letters, '
                                         f'digits and "-", but is {self._label!r}')
        self._url = re.compile(f'sqlite://{self._label}/({store_rules.KEY.pattern})')

    def write(self, key, chunks, *, size=None, ctx=None):
        total = 0
        with self._open(create=True) as file:
            # The row reserves the key: of several writers, all but one get a Conflict here.
            number = run(file, 'INSERT INTO image (key) VALUES (?)', key).lastrowid
            try:
                # Each block is a transaction of its own: nothing is locked while the source is
                # slow. The blocks need not be durable before the last statement.
                run(file, 'PRAGMA synchronous = NORMAL')
                # Errors of the source pass through: only those of SQLite are translated.
                for position, block in enumerate(blocks(chunks)):
                    run(file, 'INSERT INTO block VALUES (?, ?, ?)', number, position,
                        None if block == ZEROS else block)
                    total += len(block)
                # This statement makes the image complete, visible and durable.
                run(file, 'PRAGMA synchronous = FULL')
                if not run(file, 'UPDATE image SET size = ? WHERE number = ?',
                           total, number).rowcount:
                    raise contract.Conflict('The image was discarded while it was written.')
            except BaseException:   # also KeyboardInterrupt must not leave data
                with contextlib.suppress(contract.Error):   # report the first error
                    run(file, 'DELETE FROM image WHERE number = ?', number)
                raise
        return contract.WriteResult(f'sqlite://{self._label}/{key}', total)

    def read(self, url, *, offset=0, length=None, ctx=None):
        # Errors are raised now, and not with the first block.
        number, size = self._find(url)
        if offset > size:
            raise store_rules.beyond_end(size)
        return self._part(number, offset, size if length is None else min(size, offset + length))

    def _part(self, number, start, end):
        """Yield the bytes from ``start`` to ``end``; between two blocks nothing is locked."""
        with self._open() if start < end else contextlib.nullcontext() as file:
            while start < end:
                position, skip = divmod(start, BLOCK)
                row = run(file, 'SELECT data FROM block WHERE image = ? AND position = ?',
                            number, position).fetchone()
                if row is None:
                    raise contract.NotFound('The image was deleted while it was read.')
                data = (row[0] or ZEROS)[skip:skip + end - start]
                start += len(data)
                yield data

    def size(self, url, *, ctx=None):
        return self._find(url)[1]

    def delete(self, url, *, ctx=None):
        with self._open() as file:
            if not run(file, 'DELETE FROM image WHERE key = ? AND size IS NOT NULL',
                       self._key(url)).rowcount:
                raise store_rules.no_data()

    def discard(self, key, *, ctx=None):
        # Complete or not: the core calls this for keys that no image and no writer uses. It calls
        # all stores, so it must succeed in one that has never stored anything.
        if self._is_new():
            return
        with self._open() as file:
            run(file, 'DELETE FROM image WHERE key = ?', key)

    def owns(self, url):
        # Only one of two stores: the label is an exclusive resource, see below.
        return self._url.fullmatch(url) is not None

    def adopt(self, url, *, ctx=None):
        # A user adds a URL of data in the file. Only the text is checked; the core calls size()
        # later. The result is the normal form.
        scheme, _, rest = url.partition('://')
        label, _, key = rest.partition('/')
        url = f'{scheme.lower()}://{label.lower()}/{key}'
        self._key(url)
        return url

    def exclusive_resources(self):
        # The service does not start if two stores name the same resource.
        return {f'sqlite file {self._path.resolve()}', f'sqlite label {self._label}'}

    def properties(self):
        return {'label': self._label, 'block_size': BLOCK}

    def health(self):
        if self._is_new():
            return 'the file will be created with the first image'
        with self._open() as file:
            count, size = run(file, 'SELECT count(*), total(size) FROM image').fetchone()
        return f'{count} images, {int(size) >> 20} MiB'

    def _key(self, url):
        match = self._url.fullmatch(url)
        if match is None:
            raise store_rules.foreign_url()
        return match[1]

    def _find(self, url):
        key = self._key(url)
        with self._open() as file:
            row = run(file, 'SELECT number, size FROM image WHERE key = ? AND size IS NOT NULL',
                        key).fetchone()
        if row is None:
            raise store_rules.no_data()
        return row

    def _is_new(self):
        """Return whether there may be a first image: the file was never there."""
        return not self._seen and not self._path.exists() and self._path.parent.is_dir()

    @contextlib.contextmanager
    def _open(self, create=False):
        """Open a connection for one operation: threads and processes share none.

        Without its file, the store cannot know what is missing: that is Unavailable, not
        NotFound. SQLite would create a new file in the place of one that is away.
        """
        mode = 'rwc' if create and self._is_new() else 'rw'
        try:
            file = sqlite3.connect(f'{self._path.as_uri()}?mode={mode}', uri=True,
                                   timeout=self.options.sqlite_timeout, isolation_level=None,
                                   check_same_thread=False)
        except sqlite3.Error as error:
            raise translate_error(error) from error
        self._seen = True
        with contextlib.closing(file):
            run(file, 'PRAGMA foreign_keys = ON')
            if not run(file, 'PRAGMA user_version').fetchone()[0]:
                for statement in SCHEMA.split(';'):
                    run(file, statement)
            yield file


def run(file, statement, *values):
    """Execute a statement, and translate the errors of SQLite."""
    try:
        return file.execute(statement, values)
    except sqlite3.Error as error:
        raise translate_error(error) from error


def translate_error(error):
    """Return the error of the contract; users see its text, so it contains no paths."""
    code = getattr(error, 'sqlite_errorcode', None)
    if isinstance(error, sqlite3.IntegrityError):
        return contract.Conflict('The key has data, or was discarded meanwhile.')
    if code == sqlite3.SQLITE_FULL:
        return contract.TooLarge('There is no space for the image.')
    return contract.Unavailable(f'SQLite failed: {error}')


def blocks(chunks):
    """Yield the same bytes in blocks; at most one block and one chunk are in memory."""
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
