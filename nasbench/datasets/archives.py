"""Read archives in one sequential pass, nothing extracted to disk, nothing trusted."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from nasbench.core.errors import BadInput

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")
MAX_MEMBER_BYTES = 1 << 30
READ_BYTES = 1 << 20

_DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,  # zipfile: the member is encrypted
    NotImplementedError,  # zipfile: an unknown compression
    UnicodeDecodeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def is_archive_name(name: str) -> bool:
    """Say whether a file name ends like an archive that `read_archive` reads."""
    return name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """Return an archive's name without its ending: ``photos`` for ``photos.tar.gz``."""
    matching = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return name[: -len(max(matching, key=len))] if matching else name


def read_archive(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """Yield (name, content) of every file in the archive's order, (name, None) for a folder.

    Reads tar, also compressed with gzip, xz or bzip2, and zip, told apart by their content. To the end of the
    iteration all checksums have been verified. Raises BadInput for another format, a damaged or truncated archive, and
    members that this program refuses: absolute paths, paths through ``..``, links, devices, files over 1 GiB.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
            file.seek(0)
            yield from (
                _read_zip(path, file) if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") else _read_tar(path, file, head)
            )
    except _DAMAGE as error:
        reason = str(error).strip(".") or type(error).__name__
        raise BadInput(f"{path} is damaged or incomplete: {reason}. Get the file again.") from error


class _Member(tarfile.TarInfo):
    """A tar header that, unlike tarfile's own, takes an archive that ends without its end marker as truncated."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(str(error)) from error


def _decompressed(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    """Return the tar stream inside, None if this is none. tarfile itself would not verify gzip's checksum."""
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(file))
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(file)
    if head.startswith(b"BZh"):
        return bz2.open(file)
    return file if head[257:262] == b"ustar" else None


def _read_tar(path: Path, file: IO[bytes], head: bytes) -> Iterator[tuple[str, bytes | None]]:
    plain = _decompressed(file, head)
    if plain is None:
        raise BadInput(f"{path} is not an archive that can be read; allowed: tar, tar.gz, tar.xz, tar.bz2, zip.")
    with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            _check_name(path, member.name)
            if member.isdir():
                yield member.name, None
            elif member.isreg():
                _check_size(path, member.name, member.size)
                content = archive.extractfile(member)
                assert content is not None, "a regular file has content"
                data = content.read()
                if len(data) != member.size:
                    raise tarfile.ReadError(f"{member.name} is cut short")
                yield member.name, data
            else:
                raise BadInput(f"{path}: '{member.name}' is a link or a device; only files and folders are read.")
    while plain.read(READ_BYTES):  # to the end of the compressed stream, where its checksum stands
        pass


def _read_zip(path: Path, file: IO[bytes]) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(file) as archive:
        for member in sorted(archive.infolist(), key=lambda info: info.header_offset):
            _check_name(path, member.orig_filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadInput(f"{path}: '{member.filename}' is a link or a device; only files and folders are read.")
            if member.is_dir():
                yield member.filename.rstrip("/"), None
                continue
            _check_size(path, member.filename, member.file_size)
            yield member.filename, archive.read(member)


def _check_name(path: Path, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":") or "\0" in name:
        raise BadInput(f"{path}: the member {name!r} points outside the archive; it is not read.")


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise BadInput(f"{path}: '{name}' has {size:,} bytes; files over {MAX_MEMBER_BYTES:,} are not read.")
