"""Prints what the published schema says about who may send what, and what may stand in it.

Reads the models that the package `mcp` generates from the schema of each revision. Knows no method and no member by
name, except how the models call their unions.
"""

import json
import sys
import types
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel

import mcp_types._v2025_11_25 as legacy
import mcp_types._v2026_07_28 as modern


def unwrap(kind):
    """A type without what only decorates it."""
    while True:
        if hasattr(kind, "__value__"):
            kind = kind.__value__
        elif get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        else:
            return kind


def members(kind):
    """The models of a union, or the one model."""
    kind = unwrap(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return [model for part in get_args(kind) for model in members(part)]
    return [kind] if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def method(model):
    field = model.model_fields.get("method")
    kind = unwrap(field.annotation) if field else None
    return get_args(kind)[0] if get_origin(kind) is Literal else None


def find(kind, wanted, path=(), seen=()):
    """The ways to every place of a type in which something wanted stands: `*` for any key or element."""
    kind = unwrap(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in wanted:
            yield list(path), wanted[kind]
            return
        if kind in seen:
            return
        for name, field in kind.model_fields.items():
            yield from find(field.annotation, wanted, (*path, field.alias or name), (*seen, kind))
        return
    origin = get_origin(kind)
    if origin is dict:
        yield from find(get_args(kind)[1], wanted, (*path, "*"), seen)
    elif origin is list:
        yield from find(get_args(kind)[0], wanted, (*path, "*"), seen)
    elif origin in (Union, types.UnionType):
        for part in get_args(kind):
            yield from find(part, wanted, path, seen)


def unique(found):
    return sorted({json.dumps(one) for one in found})


def form(kind):
    """The JSON type of a member."""
    kinds = {json_type(part) for part in get_args(unwrap(kind)) or (kind,)} - {"null"}
    origin = get_origin(unwrap(kind))
    if origin is list:
        return f"list of {form(get_args(unwrap(kind))[0])}"
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(unwrap(kind)) if part is not type(None)]
        return form(parts[0]) if len(parts) == 1 else " or ".join(form(part) for part in parts)
    return " or ".join(sorted(kinds))


def json_type(kind):
    return {str: "string", bool: "boolean", int: "integer", type(None): "null"}.get(unwrap(kind), str(kind))


def revision(schema):
    def sends(name):
        return sorted(filter(None, map(method, members(getattr(schema, name, None)))))

    models = [model for model in vars(schema).values() if isinstance(model, type) and issubclass(model, BaseModel)]
    by_name = {model.__name__: model for model in models}
    # What servers ask: requests of their own, and what stands in results in their place.
    input_requests = getattr(schema, "InputRequest", None)
    server_requests = members(getattr(schema, "ServerRequest", None)) + members(input_requests)
    # Only what has a client answer for a person or a model asks; the rest is about the connection.
    agents = [m for m in members(getattr(schema, "ClientRequest", None))]
    own = {method(model) for model in agents}
    asking = {model: "request" for model in server_requests if method(model) not in own}
    for model in list(asking):
        for params in members(model.model_fields["params"].annotation) if "params" in model.model_fields else []:
            if len(members(model.model_fields["params"].annotation)) > 1:
                asking[params] = f"params of {method(model)}"
    answering = {}
    for model in [m for m in asking if asking[m] == "request"]:
        result = by_name.get(model.__name__.removesuffix("Request") + "Result")
        if result:
            answering[result] = method(model)

    places = []
    for request in agents:
        name = request.__name__.removesuffix("Request")
        response = by_name.get(f"{name}ResultResponse")
        results = members(response.model_fields["result"].annotation) if response else []
        results += [by_name[f"{name}Result"]] if f"{name}Result" in by_name else []
        for result in results:
            for path, holds in find(result, asking):
                places.append(["result", method(request), path, holds])
    for notification in members(getattr(schema, "ServerNotification", None)):
        field = notification.model_fields.get("params")
        for path, holds in find(field.annotation, asking) if field else []:
            places.append(["notification", method(notification), path, holds])
    for error in [model for model in models if "error" in model.model_fields and method(model) is None]:
        kind = members(error.model_fields["error"].annotation)[0]
        code = kind.model_fields.get("code")
        code = unwrap(code.annotation) if code else None
        if get_origin(code) is Literal:
            for path, holds in find(kind, asking):
                places.append(["error", str(get_args(code)[0]), path, holds])

    answers, subscribes = [], {}
    for request in agents:
        field = request.model_fields.get("params")
        if not field:
            continue
        for path, _ in find(field.annotation, answering):
            answers.append([method(request), [part for part in path if part != "*"]])
        if "subscribe" in method(request) or "subscri" in method(request):
            subscribes[method(request)] = list(leaves(field.annotation))
    return {
        "requests": {"agent": sends("ClientRequest"), "server": sends("ServerRequest")},
        "notifications": {"agent": sends("ClientNotification"), "server": sends("ServerNotification")},
        "asks": sorted({method(model) for model in asking if asking[model] == "request"}),
        "places": [json.loads(one) for one in unique(places)],
        "answers": [json.loads(one) for one in unique(answers)],
        "subscribes": subscribes,
    }


def leaves(kind, path=()):
    """The members of params, down to what is no object; `_meta` aside."""
    for model in members(kind):
        for name, field in model.model_fields.items():
            alias = field.alias or name
            if alias == "_meta":
                continue
            if members(field.annotation):
                yield from leaves(field.annotation, (*path, alias))
            else:
                yield [[*path, alias], form(field.annotation)]


json.dump({"2025-11-25": revision(legacy), "2026-07-28": revision(modern)}, sys.stdout, indent=1)
