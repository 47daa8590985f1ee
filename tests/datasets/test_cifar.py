import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from nasbench.core.errors import BadInput
from nasbench.datasets import download as download_module
from nasbench.datasets.cifar import CIFAR, Cifar, read_cifar
from nasbench.datasets.download import download
from nasbench.datasets.load import load_task_with_split
from tests.datasets.conftest import write_folder, write_tar

EACH = 50


class Python2Pickler(pickle._Pickler):
    """Write byte strings as Python 2 did (opcode BINSTRING), so the test files have the distributed format."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, data):
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(data)

    dispatch[bytes] = save_bytes

    def save_global(self, obj, name=None):
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[type] = save_global
    dispatch[type(np.sum)] = save_global
    dispatch[type(len)] = save_global


def batch(number, cifar, python2=True):
    """One file of the data set, EACH images in it."""
    rng = np.random.default_rng(number)
    data = rng.integers(0, 256, (EACH, 3072), dtype=np.uint8)
    labels = [(EACH * number + i) % cifar.classes for i in range(EACH)]
    content = {b"batch_label": b"a batch", cifar.label_key: labels, b"data": data, b"filenames": [b"x.png"] * EACH}
    if not python2:
        return pickle.dumps(content, protocol=2)
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(content)
    return file.getvalue()


def files(name, **options):
    cifar = CIFAR[name]
    names = (*cifar.training_files, cifar.testing_file)
    # CIFAR-100 has one training file: several labels of each class are needed to split it.
    cifar = replace(cifar, classes=10)
    return {f"{cifar.folder}/{file}": batch(number, cifar, **options) for number, file in enumerate(names)}


def expected(name):
    found = [pickle.loads(data, encoding="bytes") for data in files(name, python2=False).values()]
    pixels = np.concatenate([part[b"data"] for part in found]).reshape(-1, 3, 32, 32)
    return pixels, np.concatenate([part[CIFAR[name].label_key] for part in found])


@pytest.mark.parametrize("python2", [True, False])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_archive_and_folder_give_the_same_images(tmp_path, name, python2):
    cifar = CIFAR[name]
    archive = write_tar(tmp_path / cifar.archive, files(name, python2=python2))
    folder = write_folder(tmp_path, files(name, python2=python2)) / cifar.folder
    pixels, labels = expected(name)
    for path in (archive, folder):
        source = read_cifar(path, cifar)
        np.testing.assert_array_equal(source.training.images, pixels[:-EACH])
        np.testing.assert_array_equal(source.training.labels, labels[:-EACH])
        np.testing.assert_array_equal(source.held_out.images, pixels[-EACH:])
        assert len(source.class_names) == cifar.classes


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_it_is_found_by_name(tmp_path, kind, inside):
    cifar = CIFAR["cifar10"]
    if kind == "archive":
        path = write_tar(tmp_path / cifar.archive, files("cifar10"))
    else:
        path = write_folder(tmp_path, files("cifar10")) / cifar.folder
    loaded = load_task_with_split("CIFAR10", data_dir=path if inside else tmp_path, split_seed=1)
    assert loaded.split["sizes"] == {"train": 200, "validation": 50, "test": 50}
    assert loaded.split["origin"] == path.name
    assert (loaded.task.search.name, loaded.task.search.classes) == ("cifar10", 10)
    pixels, _ = expected("cifar10")
    np.testing.assert_array_equal(loaded.task.search.validation.images, pixels[loaded.split["validation_indices"]])


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_malicious_pickle_is_not_executed(tmp_path):
    content = files("cifar10")
    content["cifar-10-batches-py/data_batch_3"] = pickle.dumps(Attack(tmp_path / "executed"))
    with pytest.raises(BadInput, match=r"data_batch_3: '.*' is not allowed in such a file; it was not executed"):
        read_cifar(write_tar(tmp_path / "x.tar.gz", content), CIFAR["cifar10"])
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["builtins.eval", "os.system", "numpy.load", "numpy.core.multiarray.fromfile"])
def test_every_other_global_is_refused(tmp_path, name):
    module, _, function = name.rpartition(".")
    content = files("cifar10") | {
        "cifar-10-batches-py/test_batch": f"c{module}\n{function}\n(S'1'\ntR.".encode(),
    }
    with pytest.raises(BadInput, match=f"'{name}' is not allowed"):
        read_cifar(write_tar(tmp_path / "x.tar.gz", content), CIFAR["cifar10"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "data_batch_2 is damaged"),
        (b"junk that is no pickle", "data_batch_2 is damaged"),
        (files("cifar10")["cifar-10-batches-py/data_batch_2"][:5000], "data_batch_2 is damaged"),
        (pickle.dumps([1, 2]), "data_batch_2 is not a batch of CIFAR-10"),
        (pickle.dumps({b"data": [1], b"labels": [1]}), "it has no uint8 array of rows of 3072"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, 2), "one whole number a label"),
        (
            pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}, 2),
            "label 10; CIFAR-10 has .* 0 to 9",
        ),
        (pickle.dumps({b"data": np.zeros((1, 3072)), b"labels": [1]}, 2), "it has no uint8 array"),
    ],
)
def test_damaged_batches_are_named(tmp_path, content, message):
    folder = write_folder(tmp_path, files("cifar10") | {"cifar-10-batches-py/data_batch_2": content})
    with pytest.raises(BadInput, match=message):
        read_cifar(folder / "cifar-10-batches-py", CIFAR["cifar10"])


def test_a_missing_batch_is_named(tmp_path):
    content = files("cifar10")
    del content["cifar-10-batches-py/data_batch_4"]
    with pytest.raises(BadInput, match=r"lacks 'data_batch_4' of CIFAR-10; get cifar-10-python.tar.gz again"):
        read_cifar(write_tar(tmp_path / "x.tar.gz", content), CIFAR["cifar10"])
    with pytest.raises(BadInput, match="lacks 'data_batch_4'"):
        read_cifar(write_folder(tmp_path, content) / "cifar-10-batches-py", CIFAR["cifar10"])


def test_a_truncated_archive_is_refused(tmp_path):
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", files("cifar10"))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="damaged or incomplete"):
        load_task_with_split("cifar10", data_dir=tmp_path)


def test_a_member_that_points_outside_is_refused(tmp_path):
    content = files("cifar10") | {"../cifar-10-batches-py/data_batch_1": b"x"}
    with pytest.raises(BadInput, match="points outside the archive"):
        read_cifar(write_tar(tmp_path / "x.tar.gz", content), CIFAR["cifar10"])
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BadInput, match="is a link"):
        read_cifar(tmp_path / "y.tar", CIFAR["cifar10"])


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local site that serves a small archive in the place of the author's."""
    site = tmp_path / "site"
    site.mkdir()
    archive = write_tar(site / "cifar-10-python.tar.gz", files("cifar10"))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def log_message(self, *args):
            requests.append(self.path)

    requests = []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{running.server_port}/cifar-10-python.tar.gz"
    monkeypatch.setattr(Cifar, "url", url)
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(download_module.CIFAR, "cifar10", replace(CIFAR["cifar10"], md5=md5))
    yield archive, requests
    running.shutdown()
    running.server_close()


def test_download_verifies_and_does_not_repeat(tmp_path, server):
    archive, requests = server
    path = download("CIFAR10", tmp_path / "data")
    assert path.read_bytes() == archive.read_bytes()
    assert download("cifar10", tmp_path / "data") == path
    assert len(requests) == 1
    assert load_task_with_split("cifar10", data_dir=None).split["sizes"]["test"] == 50


def test_download_with_another_checksum_leaves_nothing(tmp_path, server):
    archive, _ = server
    archive.write_bytes(archive.read_bytes()[:-5])
    with pytest.raises(BadInput, match=r"CIFAR-10 could not be loaded from http://127.*hash") as raised:
        download("cifar10", tmp_path / "data")
    assert "\n" not in str(raised.value)
    assert not [file for file in (tmp_path / "data").iterdir() if file.is_file()]


def test_download_of_what_is_not_there(tmp_path, server):
    archive, _ = server
    archive.unlink()
    with pytest.raises(BadInput, match="404"):
        download("cifar10", tmp_path / "data")
    with pytest.raises(BadInput, match=r"unknown data set to download 'cifar'.* Did you mean 'cifar10"):
        download("cifar", tmp_path)
