"""Ends processes of the command line and checks their results."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from glancelite.plugins.store.sheepdog.errors import CommandFailed


def check_result(process: subprocess.Popen[bytes], verb: str, output: bytes,
                 errors: bytes) -> str:
    """Return the output of a process that has ended.

    :raises CommandFailed: by its exit code, or its error output if the code is unreliable.
    """
    code = process.returncode
    text = errors.decode(errors='replace').strip()
    # the exit code of a failed delete is 0
    if code or (verb == 'delete' and text):
        raise CommandFailed(f'vdi {verb}: {text or f"exit code {code}"}')
    return output.decode(errors='replace')


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process if it is running, and close its pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
