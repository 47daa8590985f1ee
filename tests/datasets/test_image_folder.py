import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasbench.core.errors import BadInput
from nasbench.datasets import image_folder
from nasbench.datasets.decoding import Unreadable, decode, decode_all, shrink
from nasbench.datasets.image_folder import read_image_folder, task_name
from tests.datasets.conftest import photos, picture, pixels, write_folder, write_tar, write_zip


def store(tmp_path, kind, files):
    if kind == "folder":
        return write_folder(tmp_path / "photos", files)
    if kind == "zip":
        return write_zip(tmp_path / "photos.zip", files)
    return write_tar(tmp_path / "photos.tar.xz", files, "w:xz")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("prefix", ["", "photos/", "./"])
def test_train_and_test_in_class_folders(tmp_path, kind, prefix):
    files = photos()
    litter = {".DS_Store": b"x", "train/cat/._0.png": b"x", "train/ant/Thumbs.db": b"x", "README.md": b"no image"}
    source = read_image_folder(store(tmp_path, kind, {prefix + name: data for name, data in (files | litter).items()}))
    assert source.class_names == ("ant", "cat")
    assert source.training.shape == (3, 8, 6)
    for part, images in zip(("train", "test"), (source.training, source.held_out), strict=True):
        names = sorted(name for name in files if name.startswith(part))
        assert images.labels.tolist() == [0] * 4 + [1] * 4
        np.testing.assert_array_equal(images.images, np.stack([pixels(files[name]) for name in names]))
    assert task_name(tmp_path / "photos.tar.xz") == "photos"


def test_class_folders_alone_have_no_test_part(tmp_path):
    source = read_image_folder(store(tmp_path, "folder", photos(parts=("",), classes=("b", "a", "c"))))
    assert source.held_out is None
    assert source.class_names == ("a", "b", "c")
    assert len(source.training) == 12


def test_grey_images_have_one_channel_unless_one_has_colour(tmp_path):
    files = photos(mode="L")
    assert read_image_folder(store(tmp_path, "zip", files)).training.shape == (1, 8, 6)
    files["test/cat/0.png"] = picture(1)
    source = read_image_folder(store(tmp_path, "tar", files))
    assert source.training.shape == source.held_out.shape == (3, 8, 6)
    np.testing.assert_array_equal(source.training.images[0], np.repeat(pixels(files["train/ant/0.png"]), 3, 0))


@pytest.mark.parametrize("position", [0, 7, 15])
def test_images_of_different_sizes_become_32_whatever_the_order(tmp_path, position):
    files = photos(size=(40, 50))
    odd = sorted(files)[position]
    files[odd] = picture(99, size=(64, 33))
    source = read_image_folder(store(tmp_path, "folder", files))
    assert source.training.shape == source.held_out.shape == (3, 32, 32)
    images = torch_cat(source)
    for name, image in zip(sorted(files, key=lambda n: (n.startswith("test"), n)), images, strict=True):
        np.testing.assert_array_equal(image, shrink(pixels(files[name]).transpose(1, 2, 0), 32).transpose(2, 0, 1))


def torch_cat(source):
    return [*source.training.images.numpy(), *source.held_out.images.numpy()]


def test_image_size_scales_the_shorter_side_and_keeps_the_centre():
    image = np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8)
    scaled = Image.fromarray(image).resize((30, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(shrink(image, 10), np.asarray(scaled)[:, 10:20])
    np.testing.assert_array_equal(shrink(image[:, :20], 20), image[:, :20])
    assert decode(picture(size=(9, 30)), 7).shape == (7, 7, 3)


def test_given_size(tmp_path):
    source = read_image_folder(store(tmp_path, "zip", photos()), image_size=5)
    assert source.training.shape == (3, 5, 5)
    with pytest.raises(BadInput, match="at least 1"):
        read_image_folder(tmp_path / "photos.zip", image_size=0)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train/cat/1.png": b"no image"}, "'.*train/cat/1.png' cannot be read: not a readable image"),
        ({"train/cat/1.png": picture(size=(40, 40))[:900]}, "'.*train/cat/1.png' cannot be read: .*truncated"),
        ({"train/cat/notes.txt": b"text"}, "'.*train/cat/notes.txt' cannot be read"),
        ({"test/dog/1.png": picture()}, "class 'dog' is in test and not in train"),
        ({"val/cat/1.png": picture()}, "folder 'val' stands beside train or test"),
        (
            {f"train/ant/{i}.png": None for i in range(4)} | {"test/ant/0.png": None},
            "fewer than two classes .*found: cat",
        ),
        (dict.fromkeys(photos(parts=("train/",))), "fewer than two classes .*found: none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, kind, changes, message):
    files = {name: data for name, data in (photos() | changes).items() if data is not None}
    with pytest.raises(BadInput, match=message) as raised:
        read_image_folder(store(tmp_path, kind, files))
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_an_empty_class_folder_is_named(tmp_path):
    folder = write_folder(tmp_path / "photos", photos())
    (folder / "train" / "eel").mkdir()
    with pytest.raises(BadInput, match="class folder 'eel' in train has no images"):
        read_image_folder(folder)


def test_an_empty_test_folder_is_named(tmp_path):
    folder = write_folder(tmp_path / "photos", photos(parts=("train/",)))
    (folder / "test").mkdir()
    with pytest.raises(BadInput, match="folder 'test' has no images"):
        read_image_folder(folder)


def test_several_damaged_images_are_counted(tmp_path):
    files = photos() | {f"train/cat/bad{i}.png": b"bad" for i in range(3)}
    with pytest.raises(BadInput, match=r"train/cat/bad0.png' cannot be read: .* \(2 more like it\)"):
        read_image_folder(store(tmp_path, "folder", files))


def test_a_stray_image_does_not_change_all_others(tmp_path):
    with pytest.raises(BadInput, match=r"'train/overview\.png' lies in no class folder"):
        read_image_folder(store(tmp_path, "folder", photos() | {"train/overview.png": picture(size=(30, 30))}))


def test_a_name_twice_in_a_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "photos.tar", photos(), "w")
    write_tar(path, {"train/cat/1.png": picture(5)}, "a")
    with pytest.raises(BadInput, match=r"holds 'train/cat/1\.png' twice"):
        read_image_folder(path)


def test_too_much_for_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "MAX_BYTES", 1000)
    with pytest.raises(BadInput, match="give a smaller image size"):
        read_image_folder(store(tmp_path, "zip", photos()))


def test_decompression_bombs_are_refused(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    files = photos()
    for size, name in (((40, 30), "slightly"), ((100, 100), "far")):
        bomb = files | {f"train/cat/{name}.png": picture(size=size)}
        with pytest.raises(BadInput, match=f"{name}.png' cannot be read: .*(over the|exceeds) limit"):
            read_image_folder(write_zip(tmp_path / f"{name}.zip", bomb))
    assert not recwarn.list


def test_formats_and_modes():
    for format in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        assert decode(picture(format=format)).shape == (8, 6, 3)
    assert decode(picture(mode="RGBA")).shape == (8, 6, 3)
    assert decode(picture(mode="LA")).shape == (8, 6)
    assert isinstance(decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), Unreadable)


def test_sixteen_bit_grey_keeps_the_upper_byte(tmp_path):
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_array_equal(decode((tmp_path / "x.png").read_bytes()), values >> 8)


def test_the_orientation_of_a_camera_is_obeyed():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(picture(format="JPEG", exif=exif.tobytes(), size=(6, 8))).shape == (6, 8, 3)


def test_large_files_are_decoded_by_the_pool_to_the_same_pixels():
    files = [(str(i), picture(i, size=(80, 60))) for i in range(40)]
    assert all(len(data) > 8192 for _, data in files)
    found = dict(decode_all(files))
    assert found.keys() == {name for name, _ in files}
    for name, data in files:
        np.testing.assert_array_equal(found[name].transpose(2, 0, 1), pixels(data))


# The cache.


@pytest.fixture
def decodings(monkeypatch):
    """Count how often images are decoded."""
    calls = []
    original = image_folder.decode_all
    monkeypatch.setattr(image_folder, "decode_all", lambda *a: calls.append(1) or original(*a))
    return calls


def same(one, two):
    assert one.class_names == two.class_names
    assert one.origin == two.origin
    assert [(part, i.digest()) for part, i in one.parts()] == [(part, i.digest()) for part, i in two.parts()]


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_the_second_time_comes_from_the_cache(tmp_path, kind, decodings):
    path = store(tmp_path, kind, photos())
    first = read_image_folder(path)
    same(first, read_image_folder(path))
    assert len(decodings) == 1
    read_image_folder(path, image_size=4)
    same(first, read_image_folder(path))
    assert len(decodings) == 2


@pytest.mark.parametrize("change", ["content", "new file", "removed", "renamed class"])
def test_a_changed_folder_is_read_anew(tmp_path, change, decodings):
    path = store(tmp_path, "folder", photos())
    before = read_image_folder(path)
    if change == "content":
        (path / "train/cat/1.png").write_bytes(picture(77))
        os.utime(path / "train/cat/1.png", ns=(1, 1))
    elif change == "new file":
        (path / "train/cat/9.png").write_bytes(picture(77))
    elif change == "removed":
        (path / "train/cat/1.png").unlink()
    else:
        (path / "train/cat").rename(path / "train/bee")
        (path / "test/cat").rename(path / "test/bee")
    after = read_image_folder(path)
    assert len(decodings) == 2
    assert (before.class_names, before.training.digest()) != (after.class_names, after.training.digest())
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1


def test_a_damaged_cache_is_replaced(tmp_path, decodings, caplog):
    path = store(tmp_path, "tar", photos())
    first = read_image_folder(path)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    whole = file.read_bytes()
    damages = [b"", b"junk", whole[:100], whole[:-10], whole[: len(whole) // 2]]
    for position in range(0, len(whole), len(whole) // 30):
        flipped = bytearray(whole)
        flipped[position] ^= 0x40
        damages.append(bytes(flipped))
    for damage in damages:
        file.write_bytes(damage)
        same(first, read_image_folder(path))
    file.write_bytes(b"junk")
    caplog.clear()
    before = len(decodings)
    same(first, read_image_folder(path))
    assert len(decodings) == before + 1
    assert "is damaged" in caplog.text
    same(first, read_image_folder(path))
    assert len(decodings) == before + 1


def test_a_cache_with_pickled_objects_is_not_loaded(tmp_path):
    path = store(tmp_path, "tar", photos())
    first = read_image_folder(path)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    stored = dict(np.load(file))
    stored["origin"] = np.array([Trap(tmp_path / "executed")], dtype=object)
    np.savez(file, allow_pickle=True, **stored)
    same(first, read_image_folder(path))
    assert not (tmp_path / "executed").exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_without_a_place_for_the_cache_it_still_loads(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "file"))
    path = store(tmp_path, "tar", photos())
    same(read_image_folder(path), read_image_folder(path))
    assert "could not be kept" in caplog.text


def test_nothing_is_left_beside_the_cache(tmp_path):
    read_image_folder(store(tmp_path, "tar", photos()))
    (file,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert re.fullmatch(r"photos-tar-xz-[0-9a-f]{16}\.npz", file.name)
