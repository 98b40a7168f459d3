"""/v1/chat/completions and /v1/models: the agent for any chat program that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from gateway.app import App
from gateway.completions.question import Accepted
from gateway.errors import ParleyError
from gateway.types import SECOND
from gateway.views import Generated
from gateway.web import completion_answer as answer
from gateway.web.completion_answer import Head, Problem
from gateway.web.completion_request import MINE, Unfit, Wanted, read
from gateway.web.completion_stream import Chunks, Course, gone
from gateway.web.feed import HEAD_START


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1")
    desk = app.manager.completions

    @router.post("/chat/completions")
    async def completions(request: Request) -> Response:
        """The history decides the session; with the header X-Parley-Session only the last user message is taken.

        Leaving stops the turn, unless there was an Idempotency-Key to come back with.
        """
        try:
            wanted = read(await request.body(), request.headers, desk.models())
            course = Course(desk.ask(wanted.question))
            try:
                accepted = await course.next()
                assert isinstance(accepted, Accepted)
                return await _answer(app, request, wanted, accepted, course)
            except BaseException:
                await course.close()
                raise
        except HTTPException as error:
            kind = "invalid_request_error"
            return Problem(
                status=error.status_code, text=error.detail, type=kind, code="too_large"
            ).response()
        except (Unfit, ParleyError) as error:
            return answer.problem_from(error).response()

    @router.get("/models")
    async def models() -> Response:
        """parley is the agent as it is configured; the others are models that people may choose."""
        return JSONResponse({"object": "list", "data": [_model(name) for name in (MINE, *desk.models())]})

    @router.get("/models/{name:path}")
    async def model(name: str) -> Response:
        if name not in (MINE, *desk.models()):
            text = f"There is no model {name!r} here, or it may not be chosen."
            return answer.problem_from(
                Unfit(text, param="model", code="model_not_found", status=404)
            ).response()
        return JSONResponse(_model(name))

    return router


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": name.partition(":")[0]}


async def _answer(app: App, request: Request, wanted: Wanted, accepted: Accepted, course: Course) -> Response:
    desk = app.manager.completions
    head = Head(id=f"chatcmpl-{accepted.row}", created=app.clock() // SECOND, model=wanted.model)
    headers = {"x-parley-session": accepted.session, "x-request-id": accepted.event}
    if wanted.ignored:
        headers["x-parley-ignored"] = ", ".join(wanted.ignored).encode("ascii", "replace").decode()
    if wanted.stream:
        await course.coming(HEAD_START)
        ended = course.ended()
        problem = None if ended is None else answer.problem_of(ended)
        if problem is None:
            return Chunks(
                course,
                head,
                with_usage=wanted.include_usage,
                stopping=app.stopping,
                told=partial(desk.told, accepted),
                left=partial(desk.left, accepted),
                headers=headers,
            )
    else:
        ended = await _whole(request, course)
        if ended is None:
            await course.close()
            if not app.stopping.is_set():
                desk.left(accepted)
            return Response(status_code=499)  # nobody reads it
        problem = answer.problem_of(ended)
    assert ended is not None
    await course.close()
    if problem is not None:
        if ended.state == "kept":
            desk.left(accepted)
        response = problem.response()
    else:
        await desk.told(accepted, ended.text)
        response = JSONResponse(answer.whole(head, ended))
    response.headers.update(headers)
    return response


async def _whole(request: Request, course: Course) -> Generated | None:
    """The answer; None when the client has hung up before."""
    answering = asyncio.create_task(_last(course), name="completion-whole")
    leaving = asyncio.create_task(gone(request.receive), name="completion-gone")
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        answering.cancel()
        leaving.cancel()


async def _last(course: Course) -> Generated:
    while True:
        event = await course.next()
        if isinstance(event, Generated):
            return event
