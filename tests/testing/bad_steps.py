"""Steps that each violate one claim of the contract."""

import pathlib
import tempfile
import zlib

from glancelite import contract


class Good(contract.Step):
    """Removes the first byte of data that begins with the magic of gzip, once."""

    def run(self, job):
        if job.memory.get('size') not in (None, job.staged_size):
            return
        if self.beginning(job) == b'\x1f\x8b':
            job.remember(size=job.staged_size)
            job.replace(self.result(job))

    def beginning(self, job):
        found = b''
        for chunk in job.read():
            found += chunk
            if len(found) >= 10:
                break
        return found[:2]

    def result(self, job):
        chunks = job.read()
        yield from filter(None, [next(chunks)[1:]])
        yield from chunks


class IsSilent(Good):
    def health(self):
        return ''


class Renames(Good):
    def run(self, job):
        object.__setattr__(job, 'image', contract.Image(job.image.id, name='other'))


class FailsOnShortData(Good):
    def result(self, job):
        if job.staged_size < 1000:
            raise zlib.error('it is short')
        return super().result(job)


class FailsOnStrangeData(Good):
    def beginning(self, job):
        found = super().beginning(job)
        if found == b'KD':
            raise ValueError('a VMDK')
        return found


class FailsOnUnknownFormats(Good):
    def run(self, job):
        {'raw': 1, 'qcow2': 1}[job.image.disk_format]
        super().run(job)


class ReadsOnePart(Good):
    def result(self, job):
        yield next(job.read())[1:]


class ForgetsThatItRan(Good):
    def run(self, job):
        if job.staged_size > 1000:
            job.replace(self.result(job))


class ReplacesBeforeItRemembers(Good):
    def run(self, job):
        data = b''.join(job.read())
        if data.startswith(b'\x1f\x8b') and 'done' not in job.memory:
            job.replace([b'\x1f\x8b' + data[4:]])
            job.remember(done=True)


class IgnoresTheEnd(Good):
    def run(self, job):
        try:
            super().run(job)
        except contract.Gone:
            return


class HidesFailures(Good):
    def run(self, job):
        try:
            super().run(job)
        except contract.Unavailable as error:
            raise contract.Invalid('It failed.') from error


class HidesTheLimit(Good):
    def run(self, job):
        try:
            super().run(job)
        except contract.TooLarge as error:
            raise contract.Invalid('It failed.') from error


class LeavesAFile(Good):
    def run(self, job):
        with job.local_file() as path:
            tempfile.mkstemp(dir=pathlib.Path(path).parent.parent)
        super().run(job)


class ReadsAllAtOnce(Good):
    def result(self, job):
        return [b''.join(job.read())[1:]]
