import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

REAL_DATA = os.environ.get("NASBENCH_DATA")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Every test has a cache and data folders of its own."""
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    return tmp_path


def picture(seed=0, size=(6, 8), mode="RGB", format="PNG", **options):
    """An image file of random pixels; size is (width, height) as in Pillow."""
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode=None)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixels(data):
    """The pixels of an image file, [c, h, w]."""
    array = np.asarray(Image.open(io.BytesIO(data)))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def photos(parts=("train/", "test/"), classes=("cat", "ant"), each=4, **options):
    """Files of a data set in class folders: name -> content."""
    names = [f"{part}{name}/{i}.png" for part in parts for name in classes for i in range(each)]
    return {name: picture(seed, **options) for seed, name in enumerate(names)}


def write_folder(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
