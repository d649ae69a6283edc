"""Claims about slow sources and readers, and killed processes; part of ``StoreContract``."""

from __future__ import annotations

import threading
import time

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.reading import ReadingContract
from glancelite.testing.contracts.store.toolbox import (
    MIB,
    die_while_writing,
    pattern,
    same,
    within,
)


class InterruptionContract(ReadingContract):

    @pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
    def test_a_slow_source_does_not_block_others(self, box, pause, patience, known):
        start, end = pattern(3 * MIB), b'the end'
        key, waiting, go_on = box.key(), threading.Event(), threading.Event()
        done = []

        def source():
            yield start
            waiting.set()
            go_on.wait(3 * patience)
            time.sleep(pause)
            yield end

        def write():
            done.append(box.write(key, source(), size=len(start + end) if known else None))

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            assert waiting.wait(patience)
            within(patience, box.round_trip)
        finally:
            go_on.set()
            writer.join(pause + patience)

        assert [written.size for written in done] == [len(start + end)]
        assert same(box.bytes(done[0].url), start + end)

    def test_a_slow_reader_does_not_block_others(self, store, box, pause, patience):
        data = pattern(5 * MIB)
        url = box.put(data).url
        chunks = iter(store.read(url))

        seen = next(chunks)
        try:
            within(patience, box.round_trip)
            time.sleep(pause)
            seen += b''.join(chunks)
        finally:
            if hasattr(chunks, 'close'):
                chunks.close()

        assert same(seen, data)

    def test_data_of_a_killed_process_is_discarded(self, store, box, patience):
        key = box.key()
        assert die_while_writing(store, key, iter([pattern(MIB)] * 24), patience)
        assert not box.readable(key)

        end = time.monotonic() + patience
        while True:
            try:
                assert store.discard(key) is None
                break
            except (contract.Unavailable, contract.InUse):  # not noticed yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

        assert box.absent(key)
