"""The one table from the rules of consent to what a caller is told, and what a part's trouble looks like outside."""

import asyncpg
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from chassis.causes import PartFailure, caused_by_a_part
from chassis.keys import KeyGone
from chassis.problems import Problem, not_found, respond, unavailable
from consent.model import errors
from consent.model.errors import RuleBroken

STATUS: dict[type[RuleBroken], int] = {
    errors.AlreadyAnswered: 409,
    errors.AnswerOvertaken: 409,
    errors.AlreadyAsked: 409,
    errors.AssuranceTooLow: 403,
    errors.FactNotYours: 403,
    errors.AlreadyRenewed: 409,
    errors.NothingToRenew: 409,
    errors.ExceptionNotYours: 403,
    errors.KeepNotYours: 403,
    errors.ShareNotYours: 403,
    errors.NoCheckpoint: 404,
    errors.NotInCheckpoint: 409,
    errors.RequestClosed: 409,
    errors.RequestInForce: 409,
    errors.RequestTakenBack: 409,
    errors.TextExpired: 409,
    errors.TextNotApproved: 409,
    errors.TextUnknown: 409,
    errors.TextWithdrawn: 409,
}
"""Everything else that a rule says no to is 422."""

_REFUSED = 422


def told(error: RuleBroken) -> Problem:
    """What a caller is told."""
    if isinstance(error, errors.Unseen):
        return not_found()
    return Problem(STATUS.get(type(error), _REFUSED), error.slug, error.title)


def install(app: FastAPI) -> None:
    """Answer broken rules from the table, what was erased like what never was, and 503 when the database is away."""

    async def rule(_: Request, error: Exception) -> Response:
        if not isinstance(error, RuleBroken):
            raise error
        return respond(told(error))

    async def gone(_: Request, error: Exception) -> Response:
        del error
        return respond(not_found())

    async def part(_: Request, error: Exception) -> Response:
        if not caused_by_a_part(error):
            raise error
        return respond(unavailable("unavailable", "Consent cannot be asked at the moment."))

    app.add_exception_handler(RuleBroken, rule)
    app.add_exception_handler(KeyGone, gone)
    for kind in (SQLAlchemyError, PartFailure, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        app.add_exception_handler(kind, part)
