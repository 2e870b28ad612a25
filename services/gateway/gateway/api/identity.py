"""The doors of identity itself: log in, come back, log out, and who am I."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict

from chassis.problems import Problem
from chassis.routes import route
from gateway.handlers.identity import Caller, Identity
from gateway.handlers.identity.callers import refused
from gateway.model.handles import Handles
from gateway.model.identity import Assurance, Kind

NEVER_KEPT = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_KINDS: Mapping[str, Kind] = {"person": "citizen", "staff": "staff"}

Subjects = Callable[[Caller], Sequence[tuple[str, Sequence[str]]]]
"""Subject id and the kinds of relation (self, parental, service, asked) for all whom the caller may know of now.

Synchronous, and called in the very step that makes the answer; raises Problem 503 without a lease.
"""


class SessionAnswer(BaseModel):
    """Who is logged in. `person` is the caller's own handle; without one, nobody is known by that login yet."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["person", "staff", "machine"]
    assurance: Literal["low", "substantial", "high"]
    csrf: str | None
    person: str | None = None
    staff: str | None = None
    services: list[str]


class Known(BaseModel):
    """Somebody the caller may know of, and why."""

    subject: str
    kinds: list[str]


class MeAnswer(BaseModel):
    """For whom the caller holds a grant, asks or is asked."""

    kind: Literal["person", "staff", "machine"]
    subjects: list[Known]


class LogoutAnswer(BaseModel):
    """The session has ended here; `provider` is where the browser can end the provider's own."""

    ended: Literal[True] = True
    provider: str | None


def routes(identity: Identity, handles: Handles, subjects: Subjects) -> APIRouter:
    """/login, /callback, /logout, /session and /me."""
    router = APIRouter(tags=["identity"])
    _login_routes(router, identity)

    @router.post(
        "/logout", response_model=LogoutAnswer, operation_id="logout", name="logout",
        openapi_extra=route(basis="authenticated", lease="none"),
    )  # fmt: skip
    async def logout(request: Request) -> Response:
        """End this browser's session on every replica. A bearer token cannot be ended here, only at its issuer."""
        caller = await identity.identify(request.scope)
        if caller.via != "session":
            raise Problem(400, "no-session", "There is no session to end: this request carries a token.")
        await identity.end(request.cookies)
        provider = await identity.leave(_KINDS[caller.actor.kind])
        answer = _answer(LogoutAnswer(provider=provider).model_dump())
        answer.delete_cookie(identity.rules.cookie, **_flags(identity))
        return answer

    @router.get(
        "/session", response_model=SessionAnswer, operation_id="session", name="session",
        openapi_extra=route(basis="authenticated", lease="none"),
    )  # fmt: skip
    async def session(request: Request) -> Response:
        """Who is logged in, and the token that changes must show."""
        caller = await identity.identify(request.scope)
        actor = caller.actor
        own = handles.to_handle(caller.audience, actor.id) if actor.kind == "person" and actor.id else None
        found: dict[str, Any] = {
            "kind": actor.kind, "assurance": actor.assurance, "services": list(actor.services), "person": own,
            "csrf": identity.csrf(request.cookies) if caller.via == "session" else None,
            "staff": actor.id if actor.kind == "staff" else None,
        }  # fmt: skip
        return _answer(found)

    @router.get(
        "/me", response_model=MeAnswer, operation_id="me", name="me",
        openapi_extra=route(basis="authenticated", lease="required"),
    )  # fmt: skip
    async def me(request: Request) -> Response:
        """For whom there is anything to ask. Existence is private too, so this needs the highest assurance."""
        caller = await identity.identify(request.scope)
        if caller.actor.assurance != "high":
            raise refused("low-assurance")
        found = [
            {"subject": handles.to_handle(caller.audience, subject), "kinds": list(kinds)}
            for subject, kinds in (subjects(caller) if caller.actor.id is not None else ())
        ]
        found.sort(key=lambda entry: str(entry["subject"]))
        return _answer({"kind": caller.actor.kind, "subjects": found})

    return router


def _login_routes(router: APIRouter, identity: Identity) -> None:
    public = route(basis="public", lease="none")

    @router.get("/login", status_code=303, operation_id="login", name="login", openapi_extra=public)
    async def login(
        request: Request,
        who: Annotated[Literal["citizen", "staff"], Query(alias="as")],
        next_path: Annotated[str, Query(alias="next", max_length=512)] = "/",
        assurance: Literal["substantial", "high"] = "high",
    ) -> Response:
        """Go to the login provider. `substantial` is for those who have no stronger eID: it opens no content."""
        begun = await identity.begin(who, Assurance[assurance], next_path, request.cookies)
        answer = RedirectResponse(begun.to, status_code=303, headers=NEVER_KEPT)
        answer.set_cookie(identity.rules.login_cookie, begun.browser, max_age=600, **_flags(identity))
        return answer

    @router.get("/callback", status_code=303, operation_id="callback", name="callback", openapi_extra=public)
    async def callback(request: Request) -> Response:
        """Come back from the login provider: a session, or a problem and none."""
        query = request.query_params
        if len(query.multi_items()) != len(query):
            raise Problem(400, "login-ambiguous", "The login provider's answer says something twice.")
        done = await identity.finish(query, request.cookies)
        answer = RedirectResponse(done.next, status_code=303, headers=NEVER_KEPT)
        answer.set_cookie(identity.rules.cookie, done.cookie, **_flags(identity))
        answer.delete_cookie(identity.rules.login_cookie, **_flags(identity))
        return answer


def _answer(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, headers=NEVER_KEPT)


def _flags(identity: Identity) -> dict[str, Any]:
    """What every cookie of ours has. Lax: the provider's redirect back is a navigation from another site."""
    return {"path": "/", "secure": identity.rules.tls, "httponly": True, "samesite": "lax"}
