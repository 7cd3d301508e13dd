"""What every part of the configuration has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Section(BaseModel):
    """A frozen part of the configuration, its keys in kebab case; an empty key says nothing."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return its JSON Schema, in which a key may be empty too."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for key, value in schema.get("properties", {}).items():
            schema["properties"][key] = {"anyOf": [value, {"type": "null"}]}
        return schema
