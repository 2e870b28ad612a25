"""The one table from the log's rules to what a caller is told, and what the parts' trouble looks like from outside."""

import asyncpg
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from chassis.causes import caused_by_a_part
from chassis.problems import Problem, not_found, respond, unavailable
from logbook import model

_TOLD: dict[type[model.RuleBroken], tuple[int, str, str]] = {
    model.LogAlreadyOpen: (409, "log-already-open", "This person has an open log."),
    model.GuideUnknown: (422, "unknown-guide", "There is no such guide, or it cannot be read at the moment."),
    model.PlanTypeUnknown: (422, "unknown-plan-type", "The guide has no plan of this type."),
    model.LevelUnknown: (422, "unknown-level", "The guide has no such level."),
    model.LevelTooLow: (422, "level-too-low", "At this level the guide does not create a log."),
    model.LevelUnchanged: (409, "level-unchanged", "The log is at this level already."),
    model.ServiceNeeded: (403, "service-needed", "Say with `service` for which of your services you do this."),
    model.NotTheHolder: (403, "not-the-holder", "Only the service that holds the log can do this."),
    model.NotAParticipant: (409, "not-a-participant", "The one you name does not take part with consent."),
    model.ParticipantsHidden: (
        403,
        "participants-hidden",
        "You may not know who takes part.",
    ),
    model.NoOffer: (409, "no-offer", "No handover waits for your service."),
    model.NotTheOwner: (403, "not-the-owner", "A measure belongs to the service that planned it."),
    model.NotResponsible: (403, "not-responsible", "Only whoever the measure was given to can accept it."),
    model.NotYourMeeting: (
        403,
        "not-your-meeting",
        "Only whoever called the meeting, or the service that holds the log, can do this.",
    ),
    model.WrongState: (409, "wrong-state", "This cannot be done any more, or not yet."),
    model.MeetingTimeNeeded: (422, "meeting-time-needed", "A meeting needs a time that lies ahead."),
    model.EvaluationDateNeeded: (
        422,
        "evaluation-date-needed",
        "A measure needs a next evaluation date ahead.",
    ),
    model.EvaluationDateNotNeeded: (422, "evaluation-date-not-needed", "A measure that ends has no next evaluation."),
    model.CategoryClosed: (403, "category-not-granted", "You cannot write under this category."),
    model.GoalUnknown: (422, "unknown-goal", "There is no such goal that you may see."),
}


def told(error: model.RuleBroken) -> Problem:
    """What a caller is told. Without a log there is nothing to find, whoever asks."""
    known = _TOLD.get(type(error))
    return not_found() if known is None else Problem(*known)


def install(app: FastAPI) -> None:
    """Answer broken rules from the table, and 503 when the database cannot be asked."""

    async def rule(_: Request, error: Exception) -> Response:
        if not isinstance(error, model.RuleBroken):
            raise error
        return respond(told(error))

    async def part(_: Request, error: Exception) -> Response:
        if not caused_by_a_part(error):
            raise error
        return respond(unavailable("unavailable", "The log cannot be asked at the moment."))

    app.add_exception_handler(model.RuleBroken, rule)
    for kind in (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        app.add_exception_handler(kind, part)
