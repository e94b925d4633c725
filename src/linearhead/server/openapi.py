"""/openapi.json: what the routes take and give, as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from .. import __version__
from . import Answering, Limits
from .inference import outputs_of

Schema = dict[str, Any]
VERSION = "/versions/1"  # of the model, which a client of the protocol may name or not
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
NUMBER_OR_NONE: Schema = {"type": ["number", "null"]}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def thing(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def json_answer(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def described(served: Answering, limits: Limits) -> Schema:
    """The whole document."""
    picture = {"type": "string", "format": "binary"}
    bodies = {kind: {"schema": picture} for kind in ("application/octet-stream", "image/*")}
    files = {**listed(picture), "minItems": 1, "maxItems": limits.pictures}
    bodies["multipart/form-data"] = {"schema": thing(["files"], files=files)}
    refusals = {str(code): json_answer(what, ref("Error")) for code, what in REFUSALS.items()}
    found = json_answer("One prediction a picture; those that cannot be read have an error.", ref("Predictions"))
    unread = json_answer("No picture could be read.", ref("Predictions"))
    query: list[Schema] = [{"name": "regions", "in": "query", "schema": {"type": "boolean"}}]
    if served.calibrated:
        share = {**NUMBER, "exclusiveMinimum": 0, "exclusiveMaximum": 1}
        query.append({"name": "coverage", "in": "query", "schema": share})
    predict = {
        "summary": "What pictures show",
        "description": f"A picture as the body, or up to {limits.pictures} as the files of a form. No schema can say "
        "which bytes are a picture: others get 422, a form without a file 400.",
        "parameters": query,
        "requestBody": {"required": True, "content": bodies},
        "responses": {"200": found, **refusals, "422": unread},
    }
    model = f"/v2/models/{served.name}"
    infer = {
        "summary": "The Open Inference protocol",
        "description": "Pictures as base64 of their files, or as pixels. What fits the schema but not itself, such as "
        "another amount of data than the shape says, gets 400; files that are no pictures get 422.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref("Infer")}}},
        "responses": {"200": json_answer("Tensors.", ref("Inferred")), **refusals},
    }
    paths = {"/predict": {"post": predict}}
    paths |= {f"{place}/infer": {"post": infer} for place in (model, model + VERSION)}
    for path, (what, media) in LOOKED_AT.items():
        answer = {"description": what, "content": {media: {}}}
        common = {code: refusals[code] for code in ("401", "403", "413", "421", "503")}
        paths[path.replace("MODEL", model)] = {"get": {"summary": what, "responses": {"200": answer, **common}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"linearhead: {served.name}", "version": __version__},
        "paths": paths,
        "components": {"schemas": SCHEMAS | {"Infer": asked(served, limits)}},
    }


def asked(served: Answering, limits: Limits) -> Schema:
    """The body of an inference request: one tensor, of encoded files or of pixels."""
    n = {"type": "integer", "minimum": 1, "maximum": limits.pictures}
    encoded = {**TEXT, "format": "byte", "contentEncoding": "base64"}
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    size = [{"const": side} for side in served.preprocessing.shape]
    tensor = {"oneOf": [_tensor("pictures", "BYTES", [n], encoded), _tensor("pixels", "UINT8", [n, *size], pixel)]}
    outputs = {**listed(thing(["name"], name={"enum": outputs_of(served)})), "minItems": 1}
    return thing(["inputs"], id=TEXT, inputs={**listed(tensor), "minItems": 1, "maxItems": 1}, outputs=outputs)


def _tensor(name: str, datatype: str, shape: list[Schema], item: Schema) -> Schema:
    """A tensor's data are flat, or nested as its shape is."""
    exact = {"type": "array", "prefixItems": shape, "items": False, "minItems": len(shape)}
    nested = item
    for _ in shape:
        nested = listed(nested)
    data = (
        {"anyOf": [listed(item), nested]}
        if len(shape) > 1
        else nested | {"minItems": 1, "maxItems": shape[0]["maximum"]}
    )
    return thing(
        ["name", "datatype", "shape", "data"],
        name={"const": name},
        datatype={"const": datatype},
        shape=exact,
        data=data,
    )


REFUSALS = {
    400: "A request that cannot be understood.",
    401: "A token is needed.",
    403: "A request of another page.",
    413: "Too many bytes.",
    415: "Another kind of body.",
    421: "Another name in the Host header.",
    422: "A picture that cannot be read.",
    503: "Too much to do; Retry-After says when to try again.",
}
LOOKED_AT = {
    "/": ("The page", "text/html"),
    "/health": ("Whether the server is there", "application/json"),
    "/health/ready": ("Whether it can answer", "application/json"),
    "/metrics": ("Counts for Prometheus", "text/plain"),
    "/openapi.json": ("This document", "application/json"),
    "/v2": ("The server", "application/json"),
    "/v2/health/live": ("Whether the server is there", "application/json"),
    "/v2/health/ready": ("Whether it can answer", "application/json"),
    **{f"MODEL{version}": ("The model's tensors", "application/json") for version in ("", VERSION)},
    **{f"MODEL{version}/ready": ("Whether it can answer", "application/json") for version in ("", VERSION)},
}
PREDICTION = thing(
    ["name"],
    name=TEXT,
    label=TEXT,
    confidence=NUMBER_OR_NONE,
    probabilities={"type": ["object", "null"], "additionalProperties": NUMBER},
    labels={"type": ["array", "null"], "items": TEXT},
    unlike=NUMBER_OR_NONE,
    regions={"type": ["array", "null"], "items": listed(NUMBER)},
    error=TEXT,
)
TENSOR = thing(
    ["name", "datatype", "shape", "data"],
    name=TEXT,
    datatype=TEXT,
    shape=listed({"type": "integer"}) | {"minItems": 1},
    data=listed({}),
)
SCHEMAS = {
    "Error": thing(["error"], error=TEXT),
    "Predictions": thing(["predictions"], predictions=listed(PREDICTION)),
    "Inferred": thing(["model_name", "outputs"], model_name=TEXT, model_version=TEXT, id=TEXT, outputs=listed(TENSOR)),
}
