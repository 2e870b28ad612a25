"""What can go wrong by the rules of consent. Titles are plain sentences without any input."""


class RuleBroken(Exception):
    """A rule of the domain says no. `slug` is the stable end of the problem type."""

    slug = "rule-broken"
    title = "This is not possible by the rules of consent."

    def __init__(self) -> None:
        super().__init__(self.slug)


class Unseen(RuleBroken):
    """It does not exist, or the caller may not know that it does."""

    slug = "not-found"
    title = "There is nothing here that you may see."


class InvalidNationalId(RuleBroken):
    """Not a national id number by its form, date part or control digits."""

    slug = "national-id-invalid"
    title = "A national id number is not valid."


class NationalIdNotAccepted(RuleBroken):
    """A real number in a synthetic installation, or a synthetic one in production."""

    slug = "national-id-not-accepted"
    title = "This installation does not accept national id numbers of this kind."


class ResponsibilityUnknown(RuleBroken):
    """Nobody can say who holds parental responsibility, so nobody can be asked on the child's behalf."""

    slug = "responsibility-unknown"
    title = "Consent cannot be asked for before it is known who holds parental responsibility."


class ResponsibilityIncomplete(RuleBroken):
    """The guardians named do not fit the kind of parental responsibility."""

    slug = "responsibility-incomplete"
    title = "The guardians named do not fit the kind of parental responsibility."


class GuardiansNotAsked(RuleBroken):
    """Guardians were named for somebody who decides alone."""

    slug = "guardians-not-asked"
    title = "This person decides alone; name no guardians."


class SamePerson(RuleBroken):
    """The same person was named twice in one request."""

    slug = "same-person"
    title = "The same person is named more than once."


class BirthDateInvalid(RuleBroken):
    """A birth date in the future or before the register's time."""

    slug = "birth-date-invalid"
    title = "A birth date is not possible."


class DueDateInvalid(RuleBroken):
    """Nobody who is due then can be expected today."""

    slug = "due-date-invalid"
    title = "A due date is not possible."


class BirthImpossible(RuleBroken):
    """A child born on this day cannot be the one that was expected."""

    slug = "birth-impossible"
    title = "Nobody who was expected then can have been born on this day."


class PeriodInvalid(RuleBroken):
    """The consent would end before it began, or last longer than the law table allows."""

    slug = "period-invalid"
    title = "The consent asked for must end in the future and within the longest period allowed."


class AskerUnclear(RuleBroken):
    """Staff of several services must say for which of them they ask; nobody asks for somebody else's service."""

    slug = "asker-unclear"
    title = "Say which of your own services is asking."


class ServiceUnknown(RuleBroken):
    """A service that the directory does not know, or that no longer takes part."""

    slug = "service-unknown"
    title = "A service is not in the directory."


class CategoryUnknown(RuleBroken):
    """A category that the directory does not know: unknown is refused, never guessed."""

    slug = "category-unknown"
    title = "A category is not in the directory."


class PurposeUnknown(RuleBroken):
    """A purpose for which there is no consent text."""

    slug = "purpose-unknown"
    title = "There is no consent text for this purpose."


class CellUnknown(RuleBroken):
    """An answer about something that the person was not asked."""

    slug = "cell-unknown"
    title = "An answer is about something that was not asked."


class TextUnknown(RuleBroken):
    """The answer names a text that this person was not shown: it would be no evidence."""

    slug = "text-unknown"
    title = "The text and language named are not the ones in use. Read the request again."


class TextExpired(RuleBroken):
    """A newer text has taken the place of the one that the answer names."""

    slug = "text-expired"
    title = "A newer text is in use. Read the request again."


class TextWithdrawn(RuleBroken):
    """The text that the answer names was withdrawn: it is never the ground of a new answer."""

    slug = "text-withdrawn"
    title = "This text was withdrawn. Read the request again."


class TextNotApproved(RuleBroken):
    """Nobody has approved the text that the answer names, or it is not yet in use."""

    slug = "text-not-approved"
    title = "This text is not approved for use. Read the request again."


class TextNotConveyed(RuleBroken):
    """There is no text in the person's own language, so somebody must have interpreted it or read it aloud."""

    slug = "text-not-conveyed"
    title = "There is no text in this person's language. Say who interpreted it or read it aloud."


class RequestClosed(RuleBroken):
    """The period of the request is over."""

    slug = "request-closed"
    title = "This request can no longer be answered."


class RequestTakenBack(RuleBroken):
    """Whoever asked has taken the request back: there is nothing to answer any more."""

    slug = "request-taken-back"
    title = "This request has been taken back by the service that asked. There is nothing to answer."


class RequestInForce(RuleBroken):
    """Somebody has agreed and it is in force: only those who agreed end it."""

    slug = "request-in-force"
    title = "Some of this request is in force. Those who agreed can withdraw it."


class AnswersContradict(RuleBroken):
    """One cell is answered more than once in one answer: nobody can say which of them is meant."""

    slug = "answers-contradict"
    title = "Something is answered more than once. Answer each thing once."


class AnswerOvertaken(RuleBroken):
    """The same person has said something about the same cells since then, or at the same time."""

    slug = "answer-overtaken"
    title = "This person has answered again since then. Ask them what holds now."


class WitnessNeeded(RuleBroken):
    """Words on paper or spoken are registered by one and witnessed by another."""

    slug = "witness-needed"
    title = "Say who witnessed this: a member of staff other than the one who registers it."


class WitnessUnfit(RuleBroken):
    """The witness is the registrar, or nobody who works here."""

    slug = "witness-unfit"
    title = "The witness must be another member of staff who works here."


class EvidenceNeeded(RuleBroken):
    """What was said must be backed: a scanned form (paper only), or a statement of what was said."""

    slug = "evidence-needed"
    title = "Add the scanned form, or a statement of what was said. What was said orally needs a statement."


class GivenTimeInvalid(RuleBroken):
    """It cannot have been given then, or it was too long ago to be registered."""

    slug = "given-time-invalid"
    title = "The time when this was given lies before the request, in the future, or too far back."


class FormUnknown(RuleBroken):
    """The code on the paper is not of a form that was printed of this request for this person."""

    slug = "form-unknown"
    title = "There is no printed form with this code for this person and request."


class NotAsked(RuleBroken):
    """The person named is not among those who are asked."""

    slug = "not-asked"
    title = "The person named is not one of those who are asked."


class CompanionUnfit(RuleBroken):
    """A companion writes for somebody else in what is not their own matter."""

    slug = "companion-unfit"
    title = "This person cannot be a companion here. Name somebody whose own matter it is not."


class AssuranceTooLow(RuleBroken):
    """A consent needs the highest level of assurance as its evidence."""

    slug = "assurance-too-low"
    title = "Log in at the highest level to answer."


class NobodyToAsk(RuleBroken):
    """The look was not taken in the name of a service, so there is none to ask."""

    slug = "nobody-to-ask"
    title = "No service took this look, so there is none to ask about it."


class ServiceUnclear(RuleBroken):
    """The look was taken in the name of several services: say which one is asked."""

    slug = "service-unclear"
    title = "Say which of the services of this look you are asking."


class AlreadyAsked(RuleBroken):
    """Each person asks once about a look; the answer is in the list."""

    slug = "already-asked"
    title = "You have asked about this look. The answer comes in the list of looks."


class AlreadyAnswered(RuleBroken):
    """A question is answered once."""

    slug = "already-answered"
    title = "This question has been answered."


class TooMany(RuleBroken):
    """More looks than one file holds."""

    slug = "too-many"
    title = "There are too many for one file. Ask for a shorter period with from and to."


class TooManyProved(RuleBroken):
    """More looks than can be sent with their proofs in one file."""

    slug = "too-many"
    title = "There are too many for one file with proofs. Take a period of them as CSV or print, and a receipt."


class PeriodTooLong(RuleBroken):
    """Statistics and audits are for a period that has a beginning and is not longer than a year."""

    slug = "period-too-long"
    title = "Ask for a period of at most 366 days that ends after it begins."


class NoCheckpoint(RuleBroken):
    """No checkpoint was signed of a tree of this size."""

    slug = "no-such-checkpoint"
    title = "There is no checkpoint of this size. Use the size of a checkpoint that was published."


class NotInCheckpoint(RuleBroken):
    """The look is in the ledger, but no checkpoint that covers it has been signed yet."""

    slug = "not-in-checkpoint"
    title = "This look is not in a signed checkpoint yet. Try again in a second."


class WrongOrder(RuleBroken):
    """The first of two checkpoints is the larger one."""

    slug = "wrong-order"
    title = "The first size must not be above the second."


class FactNotYours(RuleBroken):
    """The law table gives the recording of this kind of fact to other roles or sectors."""

    slug = "fact-not-yours"
    title = "Others than you record this about a person."


class FactUnfit(RuleBroken):
    """The value is not one of this kind of fact, or names too few or too many people."""

    slug = "fact-unfit"
    title = "What is recorded does not fit together: the kind, what it says, and whom it names."


class FactPeriodInvalid(RuleBroken):
    """The fact would end before it began."""

    slug = "fact-period-invalid"
    title = "What is recorded must end after it begins."


class NothingToRenew(RuleBroken):
    """Nothing of the request is in force, so that there is nothing to go on with."""

    slug = "nothing-to-renew"
    title = "Nothing of this request is in force. Ask anew instead."


class AlreadyRenewed(RuleBroken):
    """Another request follows this one already."""

    slug = "already-renewed"
    title = "This request has been renewed. Take the renewal back before you make another."


class KeepNotYours(RuleBroken):
    """The law table does not let this person, or this professional, keep this from those who see by law."""

    slug = "keep-not-yours"
    title = "By the law table this is not for you to keep from others."


class KeepTooMany(RuleBroken):
    """More is kept one by one than a published state holds."""

    slug = "keep-too-many"
    title = "Too much is kept one by one. Keep the whole category instead."


class ReasonUnknown(RuleBroken):
    """The reason is not one of the classes that the law table names for this."""

    slug = "reason-unknown"
    title = "The reason is not one of the classes that the law table names for this."


class ReasonNeeded(RuleBroken):
    """A professional gives the class of the reason, and what it rests on."""

    slug = "reason-needed"
    title = "Give the class of the reason and the reference that it rests on."


class ShareNotYours(RuleBroken):
    """The law table does not let this person alone show this to such a person, at their age and with their capacity."""

    slug = "share-not-yours"
    title = "By the law table this is not for you alone to show this person."


class ExceptionNotYours(RuleBroken):
    """The law table gives the exception for life and health to other roles or sectors, or knows none for this."""

    slug = "exception-not-yours"
    title = "By the law table there is no such exception for you to make."


class ExceptionTooLong(RuleBroken):
    """An exception would last longer than the law table lets it."""

    slug = "exception-too-long"
    title = "The exception would last longer than the law table allows."


class NobodyToTell(RuleBroken):
    """Nobody is known who holds parental responsibility, so there is nobody to tell."""

    slug = "nobody-to-tell"
    title = "There is nobody on record whom this exception could be made for."
