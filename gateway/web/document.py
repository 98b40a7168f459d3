"""The OpenAPI 3.1 document: made from what the routes declare, when somebody asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.web.encoding import TOO
from gateway.web.faults import ALWAYS, FAULTS
from gateway.web.routes import Declared, Routes

ABOUT = """Whatever a person can do in a chat, and what an operator does to the gateway.

Money is integer nano-dollars, with a decimal string of dollars beside it where it is called `..._usd`; times are
microseconds UTC. Sessions are named by their code.

On the Unix socket in the data folder no key is asked for. Over TCP send `Authorization: Bearer <key>`, with a key made
by `parley keys add`. A key has a scope: *read* looks, *operate* does what a person in a chat may do, *admin* changes
the gateway; each is part of the next. It belongs to a person, and goes no further than they may themselves."""
REF = "#/components/schemas/{model}"
SCHEME = "key"


class _Shown(GenerateJsonSchema):
    """With what `encoding.plain` shows besides the fields."""

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        made = super().dataclass_schema(schema)
        too = TOO.get(schema["cls"])
        if too is not None:
            more = self.generate_inner(TypeAdapter(too).core_schema)
            found = self.resolve_ref_schema(more)
            made["properties"] = {**made["properties"], **found["properties"]}
            made["required"] = [*made.get("required", ()), *found["required"]]
        return made


def of(api: FastAPI, families: Iterable[Routes]) -> dict[str, Any]:
    """The document of all routes that the *families* declare and *api* has."""
    declared = [each for family in families for each in family.declared]
    made = get_openapi(title=api.title, version=api.version, description=ABOUT, routes=api.routes)
    schemas, definitions = schemas_of(_types(declared))
    components = made.setdefault("components", {})
    # What FastAPI would say of a request that cannot be meant is not what we say.
    asked = {
        name: schema
        for name, schema in components.get("schemas", {}).items()
        if name not in ("HTTPValidationError", "ValidationError")
    }
    twice = asked.keys() & definitions.keys()
    if any(asked[name] != definitions[name] for name in twice):
        raise ValueError(f"two types are called {', '.join(sorted(twice))}; give one of them another name")
    components["schemas"] = dict(sorted({**asked, **definitions}.items()))
    components["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "bearer", "description": "An API key, or the token of [web]."}
    }
    components["responses"] = {
        str(status): _response(FAULTS[status][0], schemas[_key(type)]) for status, type in ALWAYS.items()
    }
    for each in declared:
        _complete(made["paths"][each.path][each.method.lower()], each, schemas)
    return made


def _complete(operation: dict[str, Any], declared: Declared, schemas: dict[str, JsonSchemaValue]) -> None:
    """What FastAPI does not know of a route."""
    text = inspect.cleandoc(declared.handler.__doc__ or "")
    operation["summary"] = text.partition("\n")[0].rstrip(".")
    needs = declared.needs
    operation["description"] = f"{text}\n\nScope: {needs.scope}; for {needs.whom}."
    operation["tags"] = [declared.id.partition("_")[0]]
    operation["security"] = [{SCHEME: [needs.scope]}]
    content = {}
    if declared.gives is not None:
        content["application/json"] = {"schema": schemas[_key(declared.gives)]}
    for type, what in declared.media.items():
        content[type] = {"schema": {"type": "string", "description": what} if isinstance(what, str) else what}
    responses: dict[str, Any] = {
        str(declared.status): {"description": "As asked.", "content": content},
    }
    for status in ALWAYS:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for status in declared.faults:
        told, type = FAULTS[status]
        responses[str(status)] = _response(told, schemas[_key(type)])
    for status, (told, type) in declared.also.items():
        responses[str(status)] = _response(told, schemas[_key(type)])
    operation["responses"] = dict(sorted(responses.items()))


def _response(told: str, schema: JsonSchemaValue) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _key(type: Any) -> str:
    return repr(type)


def _types(declared: Iterable[Declared]) -> Iterator[Any]:
    yield from ALWAYS.values()
    yield from (type for _, type in FAULTS.values())
    for each in declared:
        if each.gives is not None:
            yield each.gives
        yield from (type for _, type in each.also.values())


def schemas_of(types: Iterable[Any]) -> tuple[dict[str, JsonSchemaValue], dict[str, JsonSchemaValue]]:
    """(the schema of each type, by `_key`; what they refer to, by name)."""
    adapters = {_key(type): TypeAdapter(type) for type in types}
    found, common = TypeAdapter.json_schemas(
        [(key, "serialization", adapter) for key, adapter in adapters.items()],
        schema_generator=_Shown,
        ref_template=REF,
    )
    return {key: schema for (key, _), schema in found.items()}, common.get("$defs", {})
