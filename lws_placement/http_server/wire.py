"""HTTP bodies that clients send us, parsed by pydantic; unknown fields are ignored."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lws_placement.errors import InvalidObjectError


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True)


W = TypeVar("W", bound=Wire)


def parse(model: type[W], body: bytes, what: str = "") -> W:
    """Raises InvalidObjectError, which names the first wrong field. `what`: the body's name in
    that text, by default the model's.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidObjectError(f"not {what or model.__name__}: {where}: {first['msg']}") from e
