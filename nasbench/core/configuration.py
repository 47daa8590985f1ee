"""Validate settings with pydantic and say what is wrong in one line."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, SerializerFunctionWrapHandler, ValidationError, model_serializer

from nasbench.core.errors import BadInput, nearest

Model = TypeVar("Model", bound=BaseModel)


class Amended(BaseModel):
    """Settings of which some came later: ``later`` are left out of what is written down where they say nothing.

    So the configurations of earlier runs, and what is derived from them, stay as they were.
    """

    later: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _brief(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if value or key not in self.later}


def listed(value: Any) -> Any:
    """Split the text "32,64", as a command line gives it, into its parts; for pydantic's BeforeValidator."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def validated(model: type[Model], values: dict[str, Any], what: str) -> Model:
    """Build a pydantic model; raise BadInput (which key, what it got, what is allowed) if a value does not fit."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            allowed = sorted(model.model_fields)
            hint = nearest(key, allowed)
            raise BadInput(f"{what} has no key '{key}'.{hint} It has: {', '.join(allowed) or 'none'}.") from None
        message = first["msg"].removeprefix("Value error, ")
        got = f", got {first['input']!r}" if key and first["type"] != "missing" else ""
        raise BadInput(f"{what}{'.' if key else ''}{key}: {message[0].lower()}{message[1:]}{got}.") from None
