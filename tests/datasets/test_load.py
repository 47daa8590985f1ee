import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nasbench.core.errors import BadInput, MissingData
from nasbench.datasets.load import describe, load_task, load_task_with_split
from tests.datasets.conftest import REAL_DATA, photos, write_folder, write_tar, write_zip


def test_digits():
    loaded = load_task_with_split("Digits", data_dir=None)
    task = loaded.task
    assert loaded.split["sizes"] == {"train": 1078, "validation": 360, "test": 359}
    assert (task.search.name, task.search.kind) == ("digits", "image")
    assert (task.search.input_shape, task.search.classes) == ((1, 8, 8), 10)
    pixels = task.search.train.images
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)
    assert task.search.fingerprint == load_task("digits", data_dir=None).search.fingerprint
    assert task.search.fingerprint != load_task("digits", data_dir=None, split_seed=1).search.fingerprint


def test_digits_are_those_of_the_library():
    from sklearn.datasets import load_digits

    loaded = load_task_with_split("digits", data_dir=None)
    bunch = load_digits()
    chosen = loaded.split["test_indices"]
    np.testing.assert_array_equal(loaded.task.test.labels, bunch.target[chosen])
    np.testing.assert_allclose(loaded.task.test.images[:, 0] / 255 * 16, bunch.images[chosen], atol=0.04)
    counts = loaded.task.test.labels.bincount()
    assert counts.min() >= 34
    assert counts.max() <= 37


@pytest.mark.parametrize("name", ["flowers", "Flowers-jpeg"])
def test_a_name_finds_an_image_folder_in_the_data_folder(tmp_path, name):
    write_folder(tmp_path / "data" / name, photos())
    loaded = load_task_with_split(name.removesuffix("-jpeg"), data_dir=None)
    assert loaded.split["sizes"] == {"train": 6, "validation": 2, "test": 8}
    assert loaded.split["classes"] == ["ant", "cat"]
    assert loaded.task.search.name == name


def test_cifar_as_an_image_archive(tmp_path):
    write_tar(tmp_path / "cifar10-jpeg.tar.xz", photos(), "w:xz")
    for place in (tmp_path, tmp_path / "cifar10-jpeg.tar.xz"):
        loaded = load_task_with_split("CIFAR10", data_dir=place)
        assert (loaded.task.search.name, loaded.split["origin"]) == ("cifar10", "cifar10-jpeg.tar.xz")


def test_paths(tmp_path, monkeypatch):
    write_folder(tmp_path / "photos", photos(parts=("",), each=10))
    write_zip(tmp_path / "album.zip", photos())
    monkeypatch.chdir(tmp_path)
    loaded = load_task_with_split("./photos", data_dir=None)
    assert loaded.split["sizes"] == {"train": 12, "validation": 4, "test": 4}
    assert loaded.task.search.name == "photos"
    assert load_task("album.zip", data_dir=None).search.name == "album"
    assert load_task(str(tmp_path / "album.zip"), data_dir=None, image_size=4).search.input_shape == (3, 4, 4)


def test_missing_data_says_what_where_and_how(tmp_path):
    with pytest.raises(MissingData) as raised:
        load_task("cifar100", data_dir=tmp_path)
    message = str(raised.value)
    assert "\n" not in message
    for part in (
        "CIFAR-100",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "nasbench data import cifar100",
    ):
        assert part in message
    assert str(tmp_path) in message
    assert "--data-dir" in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar01", "unknown data set 'cifar01'. Did you mean 'cifar10"),
        ("zzz", "unknown data set 'zzz'. Allowed: cifar10, cifar100, citeseer, cora, digits, karate, pubmed"),
        ("./absent", "there is no file or folder ./absent"),
        ("absent.tar.gz", "there is no file or folder absent.tar.gz"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(BadInput, match=message):
        load_task(name, data_dir=None)


def test_a_data_dir_that_does_not_exist(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        load_task("cifar10", data_dir=tmp_path / "absent")


def test_describe_imports_no_torch():
    code = (
        "import sys, nasbench.datasets.load as l; print(list(l.describe())); "
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list(describe()))
    assert all("\n" not in line for line in describe().values())


@pytest.mark.skipif(
    REAL_DATA is None or not (Path(REAL_DATA) / "cifar10-jpeg.tar.xz").exists(),
    reason="NASBENCH_DATA holds no cifar10-jpeg.tar.xz",
)
def test_the_real_archive():
    loaded = load_task_with_split("cifar10", data_dir=Path(REAL_DATA))
    assert loaded.split["sizes"] == {"train": 40_000, "validation": 10_000, "test": 10_000}
    assert loaded.split["classes"][0] == "airplane"
    assert loaded.task.search.validation.labels.bincount().tolist() == [1000] * 10
    mean, std = loaded.task.search.train.statistics()
    np.testing.assert_allclose(mean, [0.491, 0.482, 0.447], atol=0.003)  # published for CIFAR-10
    np.testing.assert_allclose(std, [0.247, 0.243, 0.262], atol=0.003)
