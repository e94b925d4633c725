"""The routes: a page, `POST /predict`, the Open Inference protocol (KServe v2), health, metrics, /openapi.json."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
from python_multipart.exceptions import FormParserError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .. import __version__
from ..images import Unreadable
from . import Answering, Limits, Question
from .batcher import Batcher
from .decoders import Decoders
from .guard import Guard, Refused
from .inference import Tensor, read_inputs, wanted, written
from .metrics import Metrics
from .openapi import VERSION, described
from .page import page

RAW = ("application/octet-stream", "image/")


class Server:
    """Everything that the routes share."""

    def __init__(self, served: Answering, limits: Limits, guarded: bool) -> None:
        self.served, self.limits = served, limits
        looks = replace(served.preprocessing, pixel_limit=min(served.preprocessing.pixel_limit, limits.pixels))
        most = limits.decode_seconds, limits.decode_bytes, limits.decode_work
        self.decoders = Decoders(looks, limits.decoders, *most)
        self.batcher = Batcher(served)
        self.page, self.policy = page(served, guarded)
        self.waiting = 0
        self.ready = False
        self.model = f"/v2/models/{served.name}"
        self.metrics = Metrics({route.path for route in self.routes()})
        self.metrics.gauges = {
            "pictures_waiting": ("Pictures being looked at or waiting.", lambda: self.waiting),
            "decoders_replaced": ("Decoder processes that died or took too long.", lambda: self.decoders.replaced),
            "batches": ("Calls of the classifier.", lambda: self.batcher.calls),
        }

    def routes(self) -> list[Route]:
        get, post = ["GET"], ["POST"]
        models = [
            route
            for place in (self.model, self.model + VERSION)
            for route in (
                Route(place, self.about_model, methods=get),
                Route(place + "/ready", self.is_ready, methods=get),
                Route(place + "/infer", self.infer, methods=post),
            )
        ]
        return [
            Route("/", self.show, methods=get),
            Route("/predict", self.predict, methods=post),
            Route("/health", self.live, methods=get),
            Route("/health/ready", self.is_ready, methods=get),
            Route("/metrics", self.tell_metrics, methods=get),
            Route("/openapi.json", self.openapi, methods=get),
            Route("/v2", self.about, methods=get),
            Route("/v2/health/live", self.live, methods=get),
            Route("/v2/health/ready", self.is_ready, methods=get),
            *models,
        ]

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        await self.decoders.start()
        self.batcher.start()
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            self.batcher.stop()
            await self.decoders.stop()

    # ---- the page, and what is said about the server ----

    async def show(self, request: Request) -> Response:
        return HTMLResponse(self.page, headers={"content-security-policy": self.policy})

    async def live(self, request: Request) -> Response:
        return JSONResponse({"live": True})

    async def is_ready(self, request: Request) -> Response:
        return JSONResponse({"ready": self.ready}, 200 if self.ready else 503)

    async def tell_metrics(self, request: Request) -> Response:
        return PlainTextResponse(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(described(self.served, self.limits))

    async def about(self, request: Request) -> Response:
        return JSONResponse({"name": "linearhead", "version": __version__, "extensions": []})

    async def about_model(self, request: Request) -> Response:
        k, shape = len(self.served.classes), self.served.preprocessing.shape
        outputs = [Tensor("label", "BYTES", [-1]), Tensor("scores", "FP32", [-1, k])]
        if self.served.probable:
            outputs.append(Tensor("probabilities", "FP32", [-1, k]))
        return JSONResponse(
            {
                "name": self.served.name,
                "versions": ["1"],
                "platform": "linearhead",
                "inputs": [Tensor("pictures", "BYTES", [-1]).head(), Tensor("pixels", "UINT8", [-1, *shape]).head()],
                "outputs": [tensor.head() for tensor in outputs],
                "parameters": {"classes": self.served.classes},
            }
        )

    # ---- pictures in, answers out ----

    async def predict(self, request: Request) -> Response:
        """A picture as the body, or several as the files of a form."""
        question = self._asked(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            files = await self._form(request)
        elif kind.startswith(RAW):
            files = [("", await request.body())]
        else:
            raise Refused(
                415,
                "A picture as the body, with the header Content-Type: application/octet-stream or image/jpeg "
                "(image/png, …), or files as multipart/form-data is needed.",
            )
        start = time.perf_counter()
        with self._admitted(len(files)):
            answers = await together(self._look(data, question) for _, data in files)
        self.metrics.timed(start)
        good = any("error" not in answer for answer in answers)
        named = [{"name": name, **answer} for (name, _), answer in zip(files, answers, strict=True)]
        return JSONResponse({"predictions": named}, 200 if good else 422)

    def _asked(self, request: Request) -> dict[str, Any]:
        """coverage and regions from the query."""
        unknown = set(request.query_params) - {"coverage", "regions"}
        if unknown or len(request.query_params.multi_items()) > len(request.query_params):
            raise Refused(400, "The query may have coverage and regions, each once.")
        regions = request.query_params.get("regions", "false")
        if regions not in ("true", "false"):
            raise Refused(400, "regions is true or false.")
        coverage = None
        if (text := request.query_params.get("coverage")) is not None:
            try:
                coverage = float(text)
            except ValueError:
                coverage = -1.0
            if not 0 < coverage < 1:
                raise Refused(400, "coverage is a share between 0 and 1, such as 0.95.")
            if not self.served.calibrated:
                raise Refused(400, "This model cannot promise a coverage: no pictures calibrated it.")
        return {"coverage": coverage, "regions": regions == "true"}

    async def _form(self, request: Request) -> list[tuple[str, bytes]]:
        """(file name, bytes) of every file of a form."""
        try:
            async with request.form(max_files=self.limits.pictures, max_fields=8, max_part_size=4096) as form:
                files = [item for _, item in form.multi_items() if not isinstance(item, str)]
                if not files:
                    raise Refused(400, "The form has no file.")
                return [((item.filename or "")[:255], await item.read()) for item in files]
        except FormParserError as error:  # newer Starlettes answer so themselves
            raise Refused(400, f"The form cannot be read: {error}.") from error

    @contextlib.contextmanager
    def _admitted(self, count: int) -> Any:
        """Room for so many pictures, or 503."""
        if self.waiting + count > self.limits.waiting:
            raise Refused(503, "Too many pictures are waiting; try again in a second.")
        self.waiting += count
        try:
            yield
        finally:
            self.waiting -= count

    async def _look(self, data: bytes, question: dict[str, Any]) -> dict[str, Any]:
        """The answer about one encoded picture, or why there is none."""
        try:
            answer = await self._answer(data, **question)
        except Unreadable as error:
            return {"error": error.reason}
        return {name: value for name, value in answer.items() if name != "scores"}

    async def infer(self, request: Request) -> Response:
        """The Open Inference protocol, in JSON."""
        try:
            asked = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise Refused(400, "The body is no JSON.") from None
        pictures = read_inputs(asked, self.served.preprocessing.shape, self.limits.pictures)
        names = wanted(asked, self.served)
        start = time.perf_counter()
        with self._admitted(len(pictures)):
            answers = await together(self._infer(picture) for picture in pictures)
        self.metrics.timed(start)
        return JSONResponse(written(asked, answers, self.served, names))

    async def _infer(self, picture: bytes | np.ndarray) -> dict[str, Any]:
        try:
            return await self._answer(picture)
        except Unreadable as error:
            raise Refused(422, f"A picture cannot be read: {error.reason}") from error

    async def _answer(self, picture: bytes | np.ndarray, **question: Any) -> dict[str, Any]:
        """The answer about one picture, encoded or decoded; Unreadable where it is neither. Both are counted."""
        try:
            pixels = await self.decoders.decode(picture) if isinstance(picture, bytes) else picture
        except Unreadable:
            self.metrics.pictures["unreadable"] += 1
            raise
        answer = await self.batcher.ask(Question(pixels, **question))
        self.metrics.pictures["answered"] += 1
        return answer


async def together(work: Any) -> list[Any]:
    """All results in order; where one fails, its error when all have ended, so that what was admitted is done."""
    first, *more = work
    if not more:  # no tasks for one
        return [await first]
    results = await asyncio.gather(first, *more, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def refused(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such route, no such method, a broken form) in the same form as ours."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def ended(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return Response(error.body, error.status, headers=error.headers)


async def disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


def application(
    served: Answering,
    names: set[str],
    token: str | None = None,
    limits: Limits | None = None,
    everywhere: bool = False,
) -> tuple[Guard, Server]:
    """The ASGI application, and what it shares. `names`: HOST:PORT that a Host header may say; `everywhere`: and the
    address at which a connection came in."""
    limits = limits or Limits()
    server = Server(served, limits, guarded=token is not None)
    handlers: dict[Any, Any] = {HTTPException: refused, Refused: ended, ClientDisconnect: disconnected}
    app = Starlette(routes=server.routes(), lifespan=server.lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, names, token, limits, server.metrics, everywhere), server
