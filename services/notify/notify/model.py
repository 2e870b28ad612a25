"""What a notice is, which states it goes through, when it is tried again, and the words of the one e-mail there is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["waiting", "sent", "failed", "no-contact", "turned-off", "revoked"]
"""`no-contact`: nobody knows where to send it yet. `turned-off`: the person wants no e-mail. Both are shown."""

Language = Literal["nb", "nn", "en", "se"]
Frequency = Literal["each", "off"]

STILL_WORTH_SENDING = timedelta(days=7)
"""A notice without contact point is sent if one comes within this time; older ones are only shown."""

_WAITS = (2, 5, 15, 60, 300, 900, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600)


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and how a person or a staff member is told. `email` None: known, but without an address."""

    email: str | None
    language: Language
    notices: Frequency


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail. Nothing in it depends on what happened, to whom, or in which service."""

    to: str
    subject: str
    body: str
    language: Language
    message_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The mail server took it over."""


@dataclass(frozen=True, slots=True)
class Later:
    """It could not be sent now. reason: a code. away: the mail server itself is the trouble, not this address."""

    reason: str
    away: bool = False


@dataclass(frozen=True, slots=True)
class Never:
    """The mail server will not take it for this address. reason: a code."""

    reason: str


Outcome = Sent | Later | Never


def first_state(contact: Contact | None) -> State:
    """Where a new notice begins."""
    if contact is None or (contact.email is None and contact.notices == "each"):
        return "no-contact"
    return "turned-off" if contact.notices == "off" else "waiting"


def next_try(tries: int, now: datetime) -> datetime | None:
    """When to try again after `tries` tries; None when it is time to give up (about two days after the first)."""
    return now + timedelta(seconds=_WAITS[tries - 1]) if tries <= len(_WAITS) else None


def message_id(notice: str, sender: str) -> str:
    """The same for every copy of the e-mail about this notice, so that a double can be told."""
    return f"<{notice}@{sender.rpartition('@')[2]}>"


def mail(contact: Contact, notice: str, sender: str) -> Mail:
    """The e-mail about a notice, in the person's language. ValueError without an address."""
    if contact.email is None:
        raise ValueError("no address")
    subject, body = _WORDS[contact.language]
    return Mail(contact.email, subject, body, contact.language, message_id(notice, sender))


_WORDS: dict[Language, tuple[str, str]] = {
    "nb": (
        "Du har en melding i loggen",
        (
            "Hei.\n\n"
            "Du har en melding i loggen. Logg inn slik du pleier når du vil lese den.\n\n"
            "Denne e-posten har med vilje ingen lenke, og den sier ikke hva meldingen gjelder.\n"
            "Vi ber deg aldri om passord eller koder på e-post.\n"
            "Når du er logget inn, kan du slå av slike e-poster.\n"
        ),
    ),
    "nn": (
        "Du har ei melding i loggen",
        (
            "Hei.\n\n"
            "Du har ei melding i loggen. Logg inn slik du plar når du vil lese henne.\n\n"
            "Denne e-posten har med vilje inga lenkje, og han seier ikkje kva meldinga gjeld.\n"
            "Vi ber deg aldri om passord eller kodar på e-post.\n"
            "Når du er logga inn, kan du slå av slike e-postar.\n"
        ),
    ),
    "en": (
        "You have a message in the log",
        (
            "Hello.\n\n"
            "You have a message in the log. Log in the way you usually do when you want to read it.\n\n"
            "This e-mail has no link on purpose, and it does not say what the message is about.\n"
            "We never ask for passwords or codes by e-mail.\n"
            "When you are logged in, you can turn such e-mails off.\n"
        ),
    ),
    "se": (
        "Dus lea diehtu loggas",
        (
            "Bures.\n\n"
            "Dus lea diehtu loggas. Logge sisa nugo dábálaččat go háliidat lohkat dan.\n\n"
            "Dán e-poasttas ii leat liŋka, ja das ii daddjo masa diehtu guoská.\n"
            "Mii eat goassege jeara beassansániid dahje kodaid e-poasttas.\n"
            "Go leat loggen sisa, de sáhtát jaddadit dákkár e-poasttaid.\n"
        ),
    ),
}
