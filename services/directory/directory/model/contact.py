"""Public contact points belong to services, never to people (F026): what looks personal is refused.

Closed by default: an address is taken only when it is recognised as a service's own.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

FUNCTION_WORDS = frozenset(
    {"post", "postmottak", "firmapost", "mottak", "kontakt", "info", "resepsjon", "vakt", "henvendelser", "booking"}
)
"""Local parts that name a function; beside them only words of the service's own names are taken."""

PRIVATE_PROVIDERS = frozenset(
    {
        "gmail.com", "googlemail.com", "hotmail.com", "hotmail.no", "outlook.com", "live.com", "live.no", "msn.com",
        "icloud.com", "me.com", "yahoo.com", "yahoo.no", "online.no", "proton.me", "protonmail.com",
    }
)  # fmt: skip

_SHORTEST_ABBREVIATION = 5
_EMAIL = re.compile(r"([a-z0-9]+(?:[._+-][a-z0-9]+)*)@((?:[a-z0-9-]+\.)+[a-z]{2,})")
# Fixed lines 2, 3, 5-7 (58 and 59 are machines), service numbers 8, and the short series. Mobiles begin with 4 or 9.
_SERVICE_PHONE = re.compile(r"(?:[2367]\d|5[0-7]|8[0-3])\d{6}|0\d{4}|1\d{2}|116\d{3}")
_EMAIL_ANYWHERE = re.compile(r"\S@\S")
_MOBILE_ANYWHERE = re.compile(r"(?<!\d)(?:\+47|0047)?[ .-]?[49]\d(?:[ .-]?\d){6}(?!\d)")
_NATIONAL_ID_ANYWHERE = re.compile(r"(?<!\d)\d{6}[ .-]?\d{5}(?!\d)")
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "đ": "d", "ŧ": "t", "ŋ": "n", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach a service. kind: email, phone, web or visit."""

    kind: str
    value: str


def folded(text: str) -> str:
    """Lower case without accents: `Čálgoetáhta` and `calgoetahta` are the same word."""
    spread = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def words(texts: Iterable[str]) -> frozenset[str]:
    """The folded words of all texts."""
    return frozenset(word for text in texts for word in re.findall(r"[a-z0-9]+", folded(text)))


def contact_trouble(contact: Contact, own: frozenset[str]) -> str | None:
    """Why this is not a service's contact point, or None. own: the words of its own and its units' names."""
    if contact.kind == "email":
        return _email_trouble(folded(contact.value), own)
    if contact.kind == "phone":
        return _phone_trouble(contact.value)
    if contact.kind == "web":
        return _web_trouble(contact.value)
    return text_trouble(contact.value)


def text_trouble(text: str) -> str | None:
    """Why this text may not be public, or None: contact points and national ids have no place in running text."""
    if _EMAIL_ANYWHERE.search(text):
        return "email-in-text"
    if _NATIONAL_ID_ANYWHERE.search(text):
        return "national-id-in-text"
    if _MOBILE_ANYWHERE.search(text):
        return "personal-phone-in-text"
    return None


def _email_trouble(value: str, own: frozenset[str]) -> str | None:
    found = _EMAIL.fullmatch(value)
    if found is None:
        return "not-an-email"
    if found[2] in PRIVATE_PROVIDERS:
        return "private-email-provider"
    tokens = re.split(r"[._+-]", found[1])
    if all(_is_own(token, own) for token in tokens) and not all(token.isdigit() for token in tokens):
        return None
    return "personal-email"


def _is_own(token: str, own: frozenset[str]) -> bool:
    if token in FUNCTION_WORDS or token in own or token.isdigit():
        return True
    return len(token) >= _SHORTEST_ABBREVIATION and any(word.startswith(token) for word in own)


def _phone_trouble(value: str) -> str | None:
    digits = re.sub(r"[ .-]", "", value)
    digits = re.sub(r"^(?:\+|00)47", "", digits)
    if _SERVICE_PHONE.fullmatch(digits):
        return None
    return "personal-phone" if re.fullmatch(r"[49]\d{7}", digits) else "not-a-phone"


def _web_trouble(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return "not-a-web-address"
    if parts.scheme != "https" or "." not in host or "@" in value or re.search(r"\s", value):
        return "not-a-web-address"
    return None
