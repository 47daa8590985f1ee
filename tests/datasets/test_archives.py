import io
import stat
import tarfile
import zipfile

import pytest

from nasbench.core.errors import BadInput
from nasbench.datasets.archives import is_archive_name, read_archive, without_suffix
from tests.datasets.conftest import write_tar, write_zip

FILES = {"a/1.txt": b"one" * 5000, "a/2.txt": b"", "b/3.txt": bytes(range(256)) * 40}
TAR_MODES = {"x.tar": "w", "x.tar.gz": "w:gz", "x.tar.xz": "w:xz", "x.tar.bz2": "w:bz2"}


def write(path, files=FILES):
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files, TAR_MODES[path.name])


@pytest.mark.parametrize("name", [*TAR_MODES, "x.zip"])
def test_every_format_gives_the_files_back(tmp_path, name):
    assert dict(read_archive(write(tmp_path / name))) == FILES


def test_the_content_decides_not_the_name(tmp_path):
    path = write(tmp_path / "x.tar.xz").rename(tmp_path / "x.zip")
    assert dict(read_archive(path)) == FILES


@pytest.mark.parametrize("name", [*TAR_MODES, "x.zip"])
def test_no_truncation_goes_unnoticed(tmp_path, name):
    whole = write(tmp_path / name).read_bytes()
    content = len(whole) if name != "x.tar" else 512 * 3 + 15_360 + 10_240  # zeros follow a plain tar's content
    for keep in range(1, content, max(1, content // 25)):
        (tmp_path / name).write_bytes(whole[:keep])
        with pytest.raises(BadInput):
            list(read_archive(tmp_path / name))


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.xz", "x.tar.bz2", "x.zip"])
def test_no_flipped_bit_changes_a_file_unnoticed(tmp_path, name):
    whole = bytearray(write(tmp_path / name).read_bytes())
    for position in range(4, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        (tmp_path / name).write_bytes(damaged)
        try:
            found = dict(read_archive(tmp_path / name))
        except BadInput:
            continue
        contents = set(found.values())  # a name or a time may be hit where a format has no checksum for it
        assert contents <= set(FILES.values())


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.txt", "a/../../up.txt", "C:/x.txt", "a\\..\\..\\up.txt", "\\x"])
@pytest.mark.parametrize("archive", ["x.tar.gz", "x.zip"])
def test_members_that_point_outside_are_refused(tmp_path, archive, name):
    with pytest.raises(BadInput, match="points outside"):
        list(read_archive(write(tmp_path / archive, {"a/1.txt": b"1", name: b"x"})))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("a/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(BadInput, match="'a/link' is a link or a device"):
        list(read_archive(tmp_path / "x.tar"))


def test_links_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        member = zipfile.ZipInfo("a/link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(BadInput, match="'a/link' is a link or a device"):
        list(read_archive(tmp_path / "x.zip"))


def test_folders_are_named_without_content(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("empty")
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    assert list(read_archive(tmp_path / "x.tar")) == [("empty", None)]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.mkdir("empty")
    assert list(read_archive(tmp_path / "x.zip")) == [("empty", None)]


def test_a_member_too_large_is_refused_before_it_is_read(tmp_path):
    member = tarfile.TarInfo("a/huge")
    member.size = 1 << 40
    (tmp_path / "x.tar").write_bytes(member.tobuf() + bytes(1024))
    with pytest.raises(BadInput, match="'a/huge' has 1,099,511,627,776 bytes"):
        list(read_archive(tmp_path / "x.tar"))


@pytest.mark.parametrize("content", [b"", b"text, no archive", b"\x89PNG\r\n\x1a\n" + bytes(600)])
def test_other_formats_are_refused(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(BadInput, match=r"not an archive that can be read; allowed: tar, tar.gz"):
        list(read_archive(tmp_path / "x.tar"))


def test_names():
    assert is_archive_name("Photos.TAR.GZ")
    assert not is_archive_name("photos.gz.txt")
    assert without_suffix("photos.tar.xz") == "photos"
    assert without_suffix("a.zip") == "a"
    assert without_suffix("photos") == "photos"


def test_an_encrypted_zip_is_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/1.txt", b"text")
    data = bytearray(file.getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(BadInput, match="encrypted"):
        list(read_archive(tmp_path / "x.zip"))
