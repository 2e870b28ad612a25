"""The one table from the directory's refusals to what a caller is told, and 503 when the database cannot be asked."""

import asyncpg
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from chassis.causes import caused_by_a_part
from chassis.problems import Problem, not_found, respond, unavailable
from directory import model

_INVITATION = {
    "not-valid": (404, "invitation-not-valid", "This code cannot be redeemed. Ask whoever invited you for a new one."),
    "already-bound": (409, "already-bound", "This login is bound to a member of staff already."),
    "assurance-too-low": (403, "assurance-too-low", "Log in at the high level to redeem an invitation."),
}


def told(error: Exception) -> Problem:
    """What a caller is told; findings are places and codes, never input."""
    if isinstance(error, model.Refused):
        errors = [{"where": finding.where, "what": finding.what} for finding in error.findings]
        return Problem(422, "refused", "The rules of the directory do not allow this.", errors=errors)
    if isinstance(error, model.NotAllowed):
        return Problem(403, "not-allowed", "Your own record in the directory does not give this right.")
    if isinstance(error, model.InvitationRefused):
        return Problem(*_INVITATION[error.reason])
    return not_found()


def install(app: FastAPI) -> None:
    """Answer refusals from the table, two changes at once with 409, and a part's trouble with 503."""

    async def refusal(_: Request, error: Exception) -> Response:
        return respond(told(error))

    async def part(_: Request, error: Exception) -> Response:
        if isinstance(error, IntegrityError):
            return respond(Problem(409, "conflict", "Somebody else changed this at the same time."))
        if not caused_by_a_part(error):
            raise error
        return respond(unavailable("unavailable", "The directory cannot be asked at the moment."))

    for refused in (model.Refused, model.Unknown, model.NotAllowed, model.InvitationRefused):
        app.add_exception_handler(refused, refusal)
    for kind in (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        app.add_exception_handler(kind, part)
