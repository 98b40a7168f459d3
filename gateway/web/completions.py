"""/v1/chat/completions and /v1/models: the agent for any chat program that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response

from gateway.app import App
from gateway.completions.question import Accepted
from gateway.errors import ParleyError
from gateway.types.measures import SECOND
from gateway.views import Generated
from gateway.web import completion_answer as answer
from gateway.web.caller import Calling
from gateway.web.completion_answer import Head
from gateway.web.completion_body import Asking, Completion, Listed, ModelNamed
from gateway.web.completion_request import MINE, Unfit, Wanted, read
from gateway.web.completion_stream import CHUNKS, Chunks, Course, gone
from gateway.web.encoding import Json
from gateway.web.feed import HEAD_START
from gateway.web.openai_form import Failed
from gateway.web.routes import Also, Routes

ANY: Also = {
    400: ("What was sent cannot be answered; param says what of it.", Failed),
    401: ("No key, or one that does not hold.", Failed),
    403: ("The key does not go as far, or the request comes from another web page.", Failed),
    404: ("There is no such model, or no such session of whoever asks.", Failed),
    413: ("The body is too large.", Failed),
    421: ("The host name is not one of ours.", Failed),
    422: ("Not used here; see 400.", Failed),
    429: ("Too many wrong keys from that address.", Failed),
    500: ("A fault of ours.", Failed),
    503: ("All is halted, the provider cannot be reached, or the gateway is stopping.", Failed),
}
ASKED: Also = {
    **ANY,
    402: ("A budget is in the way.", Failed),
    409: ("The session is paused, answers elsewhere, or was stopped; or the key was used before.", Failed),
    502: ("The provider of the model did not answer.", Failed),
}
SessionCode = Annotated[str | None, Header(alias="X-Parley-Session", max_length=200)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
# Sent by OpenAI's own clients when they repeat a request that was not answered.
Retry = Annotated[str | None, Header(alias="X-Stainless-Retry-Count", include_in_schema=False)]


def routes(app: App) -> Routes:
    routes = Routes("/v1", family="openai")
    desk = app.manager.completions

    @routes.post("/chat/completions", who="user", also=ASKED, media={"text/event-stream": CHUNKS})
    async def complete(
        asking: Asking,
        request: Request,
        caller: Calling,
        session: SessionCode = None,
        key: Key = None,
        retry: Retry = None,
    ) -> Completion | Response:
        """As OpenAI's chat completions. The history decides the session; with X-Parley-Session only the last user
        message is taken.

        Leaving stops the turn, unless there was an Idempotency-Key to come back with.
        """
        try:
            wanted = read(asking, desk.models(), session=session, key=key, again=retry not in (None, "", "0"))
            course = Course(desk.ask(wanted.question, who=caller.identity))
            try:
                accepted = await course.next()
                assert isinstance(accepted, Accepted)
                return await _answer(app, request, wanted, accepted, course)
            except BaseException:  # also when who asked has gone: nobody else closes it
                await course.close()
                raise
        except (Unfit, ParleyError) as error:
            return answer.problem_from(error).response()

    @routes.get("/models", who="user", also=ANY)
    async def models() -> Listed:
        """parley is the agent as it is configured; the others are models that people may choose."""
        return Listed(data=[_named(name) for name in (MINE, *desk.models())])

    @routes.get("/models/{name}", who="user", also=ANY)
    async def model(name: Annotated[str, Path(min_length=1, max_length=200)]) -> ModelNamed | Response:
        """One of them."""
        if name in (MINE, *desk.models()):
            return _named(name)
        text = f"There is no model {name!r} here, or it may not be chosen."
        return answer.problem_from(Unfit(text, param="model", code="model_not_found", status=404)).response()

    return routes


def _named(name: str) -> ModelNamed:
    return ModelNamed(id=name, owned_by=name.partition(":")[0])


async def _answer(app: App, request: Request, wanted: Wanted, accepted: Accepted, course: Course) -> Response:
    desk = app.manager.completions
    head = Head(id=f"chatcmpl-{accepted.row}", created=app.clock() // SECOND, model=wanted.model)
    headers = {"x-parley-session": accepted.session, "x-request-id": str(accepted.row)}
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
    response: Response
    if problem is not None:
        if ended.state == "kept":
            desk.left(accepted)
        response = problem.response()
    else:
        await desk.told(accepted, ended.text)
        response = Json(answer.whole(head, ended))
    response.headers.update(headers)
    return response


async def _whole(request: Request, course: Course) -> Generated | None:
    """The answer; None when the client has hung up before."""
    answering = asyncio.create_task(_last(course), name="completion-whole")
    leaving = asyncio.create_task(gone(request.receive), name="completion-gone")
    tasks: set[asyncio.Task[Any]] = {answering, leaving}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        for task in tasks:
            task.cancel()


async def _last(course: Course) -> Generated:
    while True:
        event = await course.next()
        if isinstance(event, Generated):
            return event
