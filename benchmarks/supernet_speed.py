"""How long one step of differentiable search takes and what memory it needs: the supernets here and as in textbooks.

A step is the first-order one of Liu et al. (DARTS, ICLR 2019): alpha learns on a validation batch (Adam), then the
weights on a training batch (SGD, gradient clipped), in float32. Beside our supernets run three forms of
`benchmarks.textbook_supernet`: plain; with the gradients that a pass does not use left out; and with that in
channels-last order. Every form runs in fresh processes, in turns; medians. Peak memory is that of the whole process,
less what it held before the network was built.

    python -m benchmarks.supernet_speed [--threads N] [--rounds N] [SETTING ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table as RichTable
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.textbook_supernet import TextbookDarts, TextbookNasBench201
from nasbench.core.problem import SearchTask
from nasbench.search_spaces.darts import Darts, DartsSize
from nasbench.search_spaces.nasbench201 import NasBench201, NasBench201Size

CLASSES = 10


class Setting(NamedTuple):
    """A space, the shape of its images, the size of its supernet and of a batch."""

    space: Darts | NasBench201
    shape: tuple[int, int, int]
    size: DartsSize | NasBench201Size
    batch: int
    steps: int  # timed in one process


SETTINGS = {
    "darts": Setting(Darts(), (3, 32, 32), DartsSize(channels=16, cells=8), 64, 1),
    "darts-sharp": Setting(Darts("sharpsepconv-darts"), (3, 32, 32), DartsSize(channels=16, cells=3), 32, 1),
    "darts-small": Setting(Darts(), (3, 16, 16), DartsSize(channels=8, cells=5), 32, 3),
    "darts-digits": Setting(Darts(), (1, 8, 8), DartsSize(channels=8, cells=3), 64, 5),
    "nasbench201": Setting(NasBench201(), (3, 32, 32), NasBench201Size(channels=16, cells=5), 64, 1),
    "nasbench201-small": Setting(NasBench201(), (3, 16, 16), NasBench201Size(channels=8, cells=1), 64, 5),
}


class Form(NamedTuple):
    textbook: bool
    channels_last: bool
    one_gradient: bool  # a pass computes the gradient it is for, not the other as well


FORMS = {
    "textbook": Form(True, False, False),
    "textbook, one gradient": Form(True, False, True),
    "textbook, one gradient, channels last": Form(True, True, True),
    "ours": Form(False, True, True),
}


class Measured(NamedTuple):
    seconds: float
    processor_seconds: float
    architecture_share: float  # of the processor time, spent in the pass of alpha
    peak_mib: float


def build(setting: Setting, form: Form) -> nn.Module:
    space, size = setting.space, setting.size
    task = SearchTask("random", "image", setting.shape, CLASSES, None, None, "random")
    if isinstance(space, Darts):
        assert isinstance(size, DartsSize)
        return TextbookDarts(space, setting.shape, CLASSES, size) if form.textbook else space.relax(task, size)
    assert isinstance(size, NasBench201Size)
    return TextbookNasBench201(setting.shape[0], CLASSES, size) if form.textbook else space.relax(task, size)


class Search:
    """The state of a first-order search on random images."""

    def __init__(self, setting: Setting, form: Form) -> None:
        self.form = form
        layout = torch.channels_last if form.channels_last else torch.contiguous_format
        network = build(setting, form).to(memory_format=layout)  # type: ignore[call-overload]
        self.network = network.train()
        shapes = {"cell": 6} if isinstance(setting.space, NasBench201) else {"normal": 14, "reduce": 14}
        columns = len(self.network.operations)
        self.alpha = {kind: (1e-3 * torch.randn(rows, columns)).requires_grad_() for kind, rows in shapes.items()}
        self.alpha_optimizer = torch.optim.Adam(self.alpha.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.025, 0.9, weight_decay=3e-4)
        self.batches = [torch.randn(setting.batch, *setting.shape).to(memory_format=layout) for _ in range(2)]
        self.labels = torch.arange(setting.batch) % CLASSES

    def loss(self, images: Tensor, coefficients: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(self.network(images, coefficients), self.labels)

    def architecture_pass(self) -> None:
        self.network.requires_grad_(not self.form.one_gradient)
        self.alpha_optimizer.zero_grad()
        loss = self.loss(self.batches[0], {kind: alpha.softmax(dim=-1) for kind, alpha in self.alpha.items()})
        torch.autograd.backward(loss)
        self.alpha_optimizer.step()
        self.network.requires_grad_(True)

    def weight_pass(self) -> None:
        self.optimizer.zero_grad()
        coefficients = {kind: alpha.softmax(dim=-1) for kind, alpha in self.alpha.items()}
        if self.form.one_gradient:
            coefficients = {kind: values.detach() for kind, values in coefficients.items()}
        torch.autograd.backward(self.loss(self.batches[1], coefficients))
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(setting: Setting, form: Form, threads: int) -> Measured:
    """Measure in this process, which must be a fresh one."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    before = peak_mib()
    search = Search(setting, form)
    seconds, work, share = [], [], []
    for _ in range(1 + setting.steps):
        clock, start = time.perf_counter(), time.process_time()
        search.architecture_pass()
        middle = time.process_time()
        search.weight_pass()
        end = time.process_time()
        seconds.append(time.perf_counter() - clock)
        work.append(end - start)
        share.append((middle - start) / (end - start))
    typical, processor, of_alpha = (statistics.median(values[1:]) for values in (seconds, work, share))
    return Measured(typical, processor, of_alpha, peak_mib() - before)


def measure_apart(name: str, form: str, threads: int) -> Measured:
    """Measure in a new process, whose threads sleep while they wait: on a busy machine spinning ones disturb."""
    command = [sys.executable, "-m", "benchmarks.supernet_speed", "--threads", str(threads), "--form", form, name]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Measured(*json.loads(done.stdout))


def show(name: str, threads: int, rounds: int) -> None:
    found: dict[str, list[Measured]] = {form: [] for form in FORMS}
    for _ in range(rounds):
        for form, values in found.items():
            values.append(measure_apart(name, form, threads))
    medians = {form: Measured(*map(statistics.median, zip(*values, strict=True))) for form, values in found.items()}
    setting, reference = SETTINGS[name], medians["textbook"]
    size = ", ".join(
        f"{key} {value}" for key, value in setting.size.model_dump().items() if key in ("channels", "cells")
    )
    table = RichTable(
        title=f"{name}: {setting.shape}, batch {setting.batch}, {size}; {threads} thread(s), {rounds} rounds"
    )
    for column in (
        "form",
        "s / step",
        "textbook / this",
        "processor s",
        "textbook / this",
        "in alpha pass",
        "peak MiB",
    ):
        table.add_column(column)
    for form, value in medians.items():
        table.add_row(
            form,
            f"{value.seconds:.3f}",
            f"{reference.seconds / value.seconds:.2f}",
            f"{value.processor_seconds:.3f}",
            f"{reference.processor_seconds / value.processor_seconds:.2f}",
            f"{value.architecture_share:.0%}",
            f"{value.peak_mib:.0f}",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one search step of supernets.")
    parser.add_argument("settings", nargs="*", default=[], metavar="SETTING", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--form", choices=FORMS, help="measure one form in this process and print numbers")
    arguments = parser.parse_args()
    names = arguments.settings or list(SETTINGS)
    if unknown := set(names) - set(SETTINGS):
        parser.error(f"unknown setting {', '.join(sorted(unknown))}; allowed: {', '.join(SETTINGS)}")
    if arguments.form:
        print(json.dumps(measure(SETTINGS[names[0]], FORMS[arguments.form], arguments.threads)))
        return
    for name in names:
        show(name, arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
