"""Write and read state trees: a JSON file with a digest, tensors beside it in safetensors. No pickle, ever."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from nasbench.core.errors import BadInput

FORMAT = 1
_TENSOR = "$tensor"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at every instant either the old or the new content is there, whole.

    A link's target is written; what is no regular file (a device, a pipe) is written to, not replaced.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what writers that were killed left behind, at any depth. Call it only while holding the folder's lock."""
    for leftover in folder.rglob(".*.part"):
        leftover.unlink(missing_ok=True)


def write_json(path: Path, data: Any, indent: int | None = 2) -> None:
    """Write JSON atomically, one value a line unless ``indent`` is None."""
    write_atomically(path, (json.dumps(data, indent=indent, allow_nan=False) + "\n").encode())


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state tree to ``path`` (ends in ``.json``), its tensors to the same name with ``.safetensors``.

    The tensors are written first and the JSON, which holds both digests, is renamed into place last.
    """
    arrays: dict[str, Any] = {}
    plain = _strip(state, arrays, "")
    body: dict[str, Any] = {"format": FORMAT, "state": plain, "tensors": None}
    if arrays:
        data = _tensor_bytes(arrays)
        write_atomically(path.with_suffix(".safetensors"), data)
        body["tensors"] = hashlib.sha256(data).hexdigest()
    write_atomically(path, json.dumps({**body, "sha256": _digest(body)}).encode())


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote. Raises BadInput if either file was changed, cut or is of another format."""
    changed = BadInput(
        f"{path}: this checkpoint is damaged or was changed; delete its folder to replay from the ledger."
    )
    try:
        body = json.loads(path.read_bytes())
        if body.pop("sha256") != _digest(body):
            raise changed
        if body["format"] != FORMAT:
            raise BadInput(f"{path}: checkpoint format {body['format']}, this version reads format {FORMAT}.")
        arrays = {}
        if body["tensors"] is not None:
            data = path.with_suffix(".safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != body["tensors"]:
                raise changed
            arrays = _load_tensors(data, body["state"])
        return dict(_restore(body["state"], arrays))
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        if isinstance(error, BadInput):
            raise
        raise changed from error


def digest(data: Any) -> str:
    """Return the SHA-256, in hex, of plain data as JSON with sorted keys: what identifies a configuration."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _strip(value: Any, arrays: dict[str, Any], where: str) -> Any:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"state keys must be strings, got {key!r} at '{where}'")
        return {key: _strip(item, arrays, f"{where}/{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strip(item, arrays, f"{where}/{i}") for i, item in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    is_numpy = isinstance(value, np.ndarray)
    if is_numpy or type(value).__module__.split(".")[0] == "torch":
        arrays[where] = value
        return {_TENSOR: where, "library": "numpy" if is_numpy else "torch"}
    raise TypeError(f"state holds plain data and tensors, got {type(value).__name__} at '{where}'")


def _tensor_bytes(arrays: dict[str, Any]) -> bytes:
    if all(isinstance(value, np.ndarray) for value in arrays.values()):
        from safetensors.numpy import save as save_numpy

        return save_numpy({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    import torch
    from safetensors.torch import save as save_torch

    return save_torch(
        {name: torch.as_tensor(value).detach().cpu().contiguous().clone() for name, value in arrays.items()}
    )


def _load_tensors(data: bytes, plain: Any) -> dict[str, Any]:
    if '"library": "torch"' in json.dumps(plain):
        from safetensors.torch import load as load_torch

        return load_torch(data)
    from safetensors.numpy import load as load_numpy

    return load_numpy(data)


def _restore(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if _TENSOR in value:
            array = arrays[value[_TENSOR]]
            return array.numpy() if value["library"] == "numpy" and not isinstance(array, np.ndarray) else array
        return {key: _restore(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, arrays) for item in value]
    return value
