"""What a rule of the log says no with: plain classes, without any text of a caller."""


class RuleBroken(Exception):
    """A rule of the log says no. Carries no text from any caller."""


class NoSuchLog(RuleBroken):
    """The subject has no open log."""


class LogAlreadyOpen(RuleBroken):
    """A subject has one open log."""


class GuideUnknown(RuleBroken):
    """No district publishes this guide, or what it last said could not be read."""


class PlanTypeUnknown(RuleBroken):
    """The guide has no plan of this type."""


class LevelUnknown(RuleBroken):
    """The guide has no such level."""


class LevelTooLow(RuleBroken):
    """The guide does not create logs at this level."""


class LevelUnchanged(RuleBroken):
    """The log stands at this level already."""


class ServiceNeeded(RuleBroken):
    """Only a service can do this, or it is not clear for which of the own services the caller acts."""


class NotTheHolder(RuleBroken):
    """Only the service that holds the baton may do this."""


class NotAParticipant(RuleBroken):
    """The named service or person has no live consent for this log."""


class ParticipantsHidden(RuleBroken):
    """The caller may not know which services take part, and so cannot name another one."""


class NoOffer(RuleBroken):
    """No handover has been offered to this service."""


class NotTheOwner(RuleBroken):
    """A service owns its measures; others cannot change them."""


class NotResponsible(RuleBroken):
    """Only whoever a measure was given to can accept it."""


class NotYourMeeting(RuleBroken):
    """Whoever called a meeting moves it or calls it off, or the holder; nobody else."""


class WrongState(RuleBroken):
    """A measure or a meeting in this state cannot go where it was asked to go."""


class MeetingTimeNeeded(RuleBroken):
    """A meeting is planned for a time that lies ahead."""


class EvaluationDateNeeded(RuleBroken):
    """A measure cannot be under way without a next evaluation date that lies ahead."""


class EvaluationDateNotNeeded(RuleBroken):
    """A measure that ends has no next evaluation."""


class CategoryClosed(RuleBroken):
    """Nothing can be written under this category, or not with this permit."""


class GoalUnknown(RuleBroken):
    """The measure points at a goal that is not there for this caller."""
