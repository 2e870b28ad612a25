"""The life of a meeting: planned for a time that lies ahead, moved, called off; and who may do that."""

from datetime import datetime

from logbook.model.errors import MeetingTimeNeeded, NotYourMeeting, WrongState
from logbook.model.facts import CALLED_OFF, PLANNED, Author, Item, Log


def plan_meeting(draft: Item, meet_at: datetime, now: datetime) -> Item:
    """A new meeting. Whoever may write under its category may call one, the youth and guardians too."""
    return draft._replace(state=PLANNED, meet_at=_ahead(meet_at, now))


def move_meeting(meeting: Item, log: Log, by: Author, meet_at: datetime, now: datetime) -> Item:
    """The same meeting at another time."""
    _still_theirs(meeting, log, by, now)
    return meeting._replace(meet_at=_ahead(meet_at, now), version=meeting.version + 1)


def call_off_meeting(meeting: Item, log: Log, by: Author, now: datetime) -> Item:
    """The meeting will not be held. It stays in the log, with the time that it was planned for."""
    _still_theirs(meeting, log, by, now)
    return meeting._replace(state=CALLED_OFF, version=meeting.version + 1)


def _ahead(meet_at: datetime, now: datetime) -> datetime:
    if meet_at <= now:
        raise MeetingTimeNeeded
    return meet_at


def _still_theirs(meeting: Item, log: Log, by: Author, now: datetime) -> None:
    """Whoever called the meeting changes it, and the holder, who keeps the log (F073); not once it has begun."""
    caller = by.id == meeting.by.id if by.service is None else by.service == meeting.by.service
    if not caller and (by.service is None or by.service != log.holder.service):
        raise NotYourMeeting
    if meeting.state != PLANNED or meeting.meet_at is None or meeting.meet_at <= now:
        raise WrongState
