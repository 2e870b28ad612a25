"""Use cases of notify: contact points, notices as they come, and the e-mails that go out."""

from notify.handlers.contacts import Given, change_contact, read_contact
from notify.handlers.mailing import Mailer, Mailing, SmtpMailer
from notify.handlers.notices import list_notices, revoke_notice, take_notice

__all__ = [
    "Given",
    "Mailer",
    "Mailing",
    "SmtpMailer",
    "change_contact",
    "list_notices",
    "read_contact",
    "revoke_notice",
    "take_notice",
]
