from __future__ import annotations

import pytest

from nasbench.reports.front_plot import front_picture, metric_label


def rows(count: int) -> list[dict]:
    some = [
        {"id": i, "metrics": {"valid_accuracy": 50.0 + i, "parameters": 1e5 * (i + 1), "energy@mcu": 9.0 - i}}
        for i in range(count)
    ]
    return [*some, {"id": count, "metrics": {}, "status": "failed", "error": "it diverged"}]


def result(*objectives: str, front: int = 3) -> dict:
    points = [{"architecture": str(row["id"]), "metrics": row["metrics"]} for row in rows(9)[:front]]
    return {"objectives": list(objectives), "front": points[::-1]}


@pytest.mark.parametrize(
    ("objectives", "panels"),
    [
        (("valid_accuracy:max", "parameters:min"), 1),
        (("valid_accuracy:max", "energy@mcu:max"), 1),
        (("valid_accuracy:max", "parameters:min", "energy@mcu:min"), 3),
    ],
)
def test_every_pair_of_objectives_has_a_panel(objectives: tuple[str, ...], panels: int) -> None:
    picture = front_picture(result(*objectives), rows(9))
    assert picture.count('id="axes_') == panels
    assert picture == front_picture(result(*objectives), rows(9))
    for objective in objectives:
        assert metric_label(objective.partition(":")[0]) in picture
    assert "chosen: best by the first objective" in picture


def test_one_evaluation_makes_a_picture() -> None:
    assert "the front" in front_picture(result("valid_accuracy:max", "parameters:min", front=1), rows(1))


def test_metrics_are_named_as_people_write_them() -> None:
    assert metric_label("latency_ms@raspi4") == "latency on raspi4 (ms)"
    assert metric_label("valid_accuracy") == "validation accuracy (%)"
    assert metric_label("energy_use@mcu") == "energy use on mcu"
