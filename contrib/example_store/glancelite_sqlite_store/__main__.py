"""Lists the data in SQLite files of this store: ``python -m glancelite_sqlite_store FILE ...``"""

import contextlib
import os
import sqlite3
import sys

REST = """
SELECT key, size FROM image UNION ALL
SELECT 'a block of', image FROM block WHERE image NOT IN (SELECT number FROM image)
"""

for path in filter(os.path.exists, sys.argv[1:]):    # there is no file before the first image
    with contextlib.closing(sqlite3.connect(f'file:{path}?mode=ro', uri=True)) as file:
        for row in file.execute(REST):
            print(path, *row)
