"""A sweep whose workers, raylet and driver are killed at random gives the leaderboard of an undisturbed one.

Every kill is a SIGKILL, at a random instant, of a random victim: a worker process, the raylet (Ray's node), or the
process of ``nasbench sweep`` itself, which is then started again with the same command. At the end every ledger, and
the leaderboard but for times, must be those of a sweep that nobody disturbed.

    python -m benchmarks.sweep_chaos [KILLS]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

KILLS = 30
VICTIMS = {"worker": 6, "raylet": 2, "driver": 2}
"""How often each is chosen, of ten kills."""
SWEEP = [
    *("sweep", "--spaces", "nasbench201", "--strategies", "random,evolution", "--evaluator", "train", "--seeds", "0:4"),
    *("--evaluations", "12", "--final-seeds", "2", "--baseline-size", "2", "--set", "population=4"),
    *("--set", "tournament=2", "--set", "recipe.epochs=2", "--set", "recipe.channels=2", "--set", "recipe.cells=1"),
    *("--set", "recipe.warmup_epochs=0", "--retries", "10"),
]


def start(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a sweep with a cache of its own; what it says is appended to ``said`` in the folder."""
    environment = {**os.environ, "NASBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    program = "import sys; from nasbench.cli.main import main; main(sys.argv[1:])"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said").open("ab") as said:
        command = [sys.executable, "-c", program, *arguments, "--out", str(folder / "out")]
        return subprocess.Popen(command, stdout=said, stderr=said, env=environment)


def below(process: int) -> dict[int, str]:
    """Return the descendants of a process by id, with their command lines."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    found: dict[int, str] = {}
    todo = [process]
    while todo:
        parent = todo.pop()
        children = [child for child, its in parents.items() if its == parent and child in lines]
        found |= {child: lines[child] for child in children}
        todo += children
    return found


def kill(victim: str, driver: int) -> bool:
    """Kill one; return whether there was one to kill."""
    if victim == "driver":
        os.kill(driver, signal.SIGKILL)
        return True
    lines = below(driver).items()
    if victim == "worker":
        busy = [process for process, line in lines if line.startswith("ray::work")]  # the name of the task's function
    else:
        busy = [process for process, line in lines if line.split(" ")[0].endswith("raylet/raylet")]
    if not busy:
        return False
    try:
        os.kill(random.choice(busy), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def disturb(folder: Path, arguments: list[str], victims: list[str], rng: random.Random, pause: float) -> Counter[str]:
    """Run a sweep to its end although these are killed, one after another; return what was killed.

    A victim is chosen once the sweep works: when its folder has changed since the last kill. ``pause`` is the longest
    time in seconds between that and the kill. What was killed, or was ended by Ray because it was about to speak to a
    raylet that is dead, is started again. Raises RuntimeError if the sweep ends in another way.
    """
    killed: Counter[str] = Counter()
    waiting = list(victims)
    while True:
        driver = start(folder, arguments)
        while driver.poll() is None and waiting:
            before = stand(folder)
            while driver.poll() is None and stand(folder) == before:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, pause))
            if driver.poll() is None and kill(waiting[0], driver.pid):
                killed[waiting.pop(0)] += 1
        code = driver.wait()
        if code == 0:
            return killed
        said = (folder / "said").read_text()
        ended_by_ray = code == 1 and killed["raylet"] and "nasbench: " not in said and "searches are in" not in said
        if code != -signal.SIGKILL and not ended_by_ray:
            raise RuntimeError(f"exit code {code}: {said[-3000:]}")


def stand(folder: Path) -> tuple[int, int]:
    """Return something that changes while a sweep gets on: the bytes of its ledgers and the number of its files."""
    ledgers = [file.stat().st_size for file in folder.rglob("evaluations.jsonl")]
    return sum(ledgers), sum(1 for _ in folder.rglob("*.json"))


def timeless(value: Any) -> Any:
    """Return the same without what depends on the clock or names the folder."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if "seconds" not in k and k not in ("run", "path", "run_id")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def outcome(folder: Path) -> tuple[Any, Any]:
    """Return the leaderboard and all ledgers of a sweep, without times."""
    from nasbench.reports.leaderboard import collect, leaderboard

    rows = leaderboard(collect([folder / "out"])).frame.astype(object).to_dict("records")
    ledgers = {
        str(file.relative_to(folder)): [timeless(json.loads(line)) for line in file.read_text().splitlines()]
        for file in sorted((folder / "out").rglob("evaluations.jsonl"))
    }
    return json.dumps(timeless(rows), default=str), ledgers


def main(kills: int) -> None:
    root, rng = Path(tempfile.mkdtemp()), random.Random(0)
    started = time.monotonic()
    assert start(root / "whole", [*SWEEP, "--workers", "2"]).wait() == 0, (root / "whole" / "said").read_text()
    print(f"undisturbed: {time.monotonic() - started:.0f} s")
    expected, killed, attempt = outcome(root / "whole"), Counter[str](), 0
    while killed.total() < kills:
        attempt += 1
        started = time.monotonic()
        victims = rng.choices(list(VICTIMS), list(VICTIMS.values()), k=min(10, kills - killed.total()))
        now = disturb(root / f"killed{attempt}", [*SWEEP, "--workers", "2"], victims, rng, 2.0)
        killed += now
        same = outcome(root / f"killed{attempt}") == expected
        print(f"sweep {attempt}: killed {dict(now)}, {time.monotonic() - started:.0f} s, same: {same}", flush=True)
        assert same, root
    print(f"{killed.total()} kills ({dict(killed)}) in {attempt} sweeps; every leaderboard and ledger the same")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
