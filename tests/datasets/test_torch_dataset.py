import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from nasbench.core.errors import BadInput
from nasbench.core.problem import Task
from nasbench.datasets.load import load_task, load_task_with_split
from nasbench.datasets.torch_dataset import task_from_datasets

MODULE = """
import torch
from torch.utils.data import Dataset, TensorDataset
from nasbench.datasets.torch_dataset import task_from_datasets

def images(n, start=0):
    values = torch.arange(start, start + n, dtype=torch.uint8)
    return TensorDataset(values[:, None, None, None].expand(-1, 3, 4, 5), torch.arange(n) % 2)

class Pictures(Dataset):
    def __init__(self, root, train=True, transform=None, download=False):
        self.root, self.items = root, images(30 if train else 10, 0 if train else 100)
        assert not download
    def __len__(self): return len(self.items)
    def __getitem__(self, index): return self.items[index]

class Plain(Pictures):
    def __init__(self): super().__init__(None)

def my_task(root, seed):
    assert root.name == "data"
    return task_from_datasets(f"seed{seed}", images(30), images(10, 100), validation=0.5, seed=seed)

def pair(): return images(20), images(6, 50)
instance = images(40)
number = 3
def wants(folder): return images(9)
def fails(): raise RuntimeError("no such drive")
def no_dataset(): return 7
_hidden = 1
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module in the current directory, under a name of its own for each test."""
    name = "pictures_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def values(images):
    return sorted(images.images[:, 0, 0, 0].tolist())


def test_a_class_with_train_gives_train_and_test(module):
    loaded = load_task_with_split(f"{module}:Pictures", data_dir=None)
    search = loaded.task.search
    assert values(loaded.task.test) == list(range(100, 110))
    assert sorted(values(search.train) + values(search.validation)) == list(range(30))
    assert search.input_shape == (3, 4, 5)
    assert search.name == f"{module}:Pictures"
    assert loaded.split["sizes"] == {"train": 24, "validation": 6, "test": 10}


@pytest.mark.parametrize(("name", "count"), [("instance", 40), ("Plain", 30)])
def test_one_dataset_is_split_three_ways(module, name, count):
    loaded = load_task_with_split(f"{module}.py:{name}", data_dir=None, split_seed=4)
    sizes = loaded.split["sizes"]
    assert sizes == {"train": count * 3 // 5, "validation": count // 5, "test": count // 5}
    other = load_task_with_split(f"{module}:{name}", data_dir=None, split_seed=5)
    assert other.split["test_indices"] != loaded.split["test_indices"]


def test_a_function_may_return_a_task_or_a_pair(module):
    loaded = load_task(f"{module}:my_task", data_dir=None, split_seed=7)
    assert (loaded.search.name, len(loaded.search.validation)) == ("seed7", 15)
    assert load_task_with_split(f"{module}:pair", data_dir=None).split["sizes"]["test"] == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Pictues", "unknown name in .* 'Pictues'. Did you mean 'Pictures'"),
        ("number", "is a int; expected a dataset"),
        ("wants", "needs the argument 'folder'; allowed are root, seed, train"),
        ("fails", "failed: RuntimeError: no such drive"),
        ("no_dataset", "is a int, not a dataset"),
        ("", "not of the form module:name"),
    ],
)
def test_what_does_not_fit_is_named(module, name, message):
    with pytest.raises(BadInput, match=message):
        load_task(f"{module}:{name}", data_dir=None)


def test_modules_that_cannot_be_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="there is no module 'absent_pictures'"):
        load_task("absent_pictures:Data", data_dir=None)
    (tmp_path / "broken_pictures.py").write_text("import absent_library")
    with pytest.raises(BadInput, match=r"importing 'broken_pictures' failed: .*absent_library"):
        load_task("broken_pictures:Data", data_dir=None)
    (tmp_path / "wrong_pictures.py").write_text("def (")
    with pytest.raises(BadInput, match="importing 'wrong_pictures' failed: SyntaxError"):
        load_task("wrong_pictures:Data", data_dir=None)


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
CHANNELS_FIRST = PIXELS.transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.from_numpy(CHANNELS_FIRST.copy()), CHANNELS_FIRST),
        (torch.from_numpy(CHANNELS_FIRST / 255), CHANNELS_FIRST),
        (torch.from_numpy(CHANNELS_FIRST[0].copy()), CHANNELS_FIRST[:1]),
        (PIXELS, CHANNELS_FIRST),
        (PIXELS.astype(np.float32) / 255, CHANNELS_FIRST),
        (PIXELS[:, :, 0], CHANNELS_FIRST[:1]),
        (Image.fromarray(PIXELS), CHANNELS_FIRST),
        (Image.fromarray(PIXELS[:, :, 0]), CHANNELS_FIRST[:1]),
    ],
)
@pytest.mark.parametrize("label", [int, np.int64, torch.tensor, np.array])
def test_every_kind_of_item(image, expected, label):
    items = Items([(image, label(i % 2)) for i in range(10)])
    task = task_from_datasets("made", items, items)
    assert isinstance(task, Task)
    np.testing.assert_array_equal(task.search.train.images[0], expected)
    assert task.search.train.labels.bincount().tolist() == [4, 4]
    assert len(task.test) == 10


GREY = torch.zeros(4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((GREY.float() - 1, 0), "item 3 has values outside 0..1; give images before normalisation"),
        ((GREY.float() * float("nan"), 0), "item 3 has values outside 0..1"),
        ((GREY.long(), 0), "item 3 is of type int64"),
        ((GREY[0], 0), "item 3 has 1 dimensions"),
        ((torch.zeros(5, 5, dtype=torch.uint8), 0), "item 3 has shape .1, 5, 5., earlier ones .1, 4, 4."),
        (("x.png", 0), "item 3 is a str; allowed are"),
        ((GREY, -1), "item 3 has the label -1"),
        ((GREY, 0.5), "item 3 has the label 0.5"),
        ((GREY, "cat"), "item 3 has the label 'cat'"),
        (GREY[0, 0], r"item 3 is not an \(image, label\) pair"),
        ((GREY, 3), "labels go up to 3, but no training item has label 2"),
    ],
)
def test_the_wrong_item_is_named(wrong, message):
    items = Items([(GREY, i % 2) for i in range(3)] + [wrong] + [(GREY, i % 2) for i in range(3)])
    with pytest.raises(BadInput, match=message):
        task_from_datasets("made", items, Items([(GREY, 0)]))


def test_parts_that_do_not_fit_together():
    train = Items([(GREY, i % 2) for i in range(8)])
    with pytest.raises(BadInput, match="label 5 in the test part; allowed are 0 to 1"):
        task_from_datasets("made", train, Items([(GREY, 5)]))
    with pytest.raises(BadInput, match="test images are"):
        task_from_datasets("made", train, Items([(GREY[:2], 1)]))
    with pytest.raises(BadInput, match="has no items"):
        task_from_datasets("made", train, Items([]))
    with pytest.raises(BadInput, match="not a dataset with items and a length"):
        task_from_datasets("made", iter([]), train)


def test_task_from_datasets_follows_seed_and_fraction():
    data = TensorDataset(
        torch.arange(100, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2), torch.arange(100) % 4
    )
    one, two = (task_from_datasets("made", data, data, validation=0.25, seed=seed).search for seed in (0, 1))
    assert len(one.validation) == 25
    assert one.fingerprint != two.fingerprint
    assert values(one.validation) != values(two.validation)
