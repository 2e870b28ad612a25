"""Step 6: a contentless e-mail arrives over SMTP."""

from __future__ import annotations

import asyncio
import email.policy
import tomllib
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from story.cast import Story
from story.narrative import UnexpectedError, expect_true


async def contentless_mail(story: Story) -> None:
    """Each of the family is told that there is something to read, and nothing about what or whom."""
    for who in ("youth", "mother", "father"):
        found = await mail_for(story.world.mailbox, story.addresses[who])
        for one in found:
            text = readable(one)
            expect_true(f"the mail to the {who} holds no name or number", not any(s in text for s in story.secrets()))
            hits = sorted(word for word in telling(story) if word.lower() in text.lower())
            expect_true(f"the mail to the {who} names no service and no category (it has {hits})", not hits)
        story.say(f"The {who} got {len(found)} e-mail(s): «{found[0]['Subject']}», from {found[0]['From']}.")


async def mail_for(mailbox: Path, address: str, seconds: float = 40.0) -> list[EmailMessage]:
    """The mails to an address, once there is one."""
    for _ in range(int(seconds / 0.2)):
        found = [one for one in read_all(mailbox) if address in str(one["To"])]
        if found:
            return found
        await asyncio.sleep(0.2)
    raise UnexpectedError(f"no e-mail came within {seconds:.0f} s")


def read_all(mailbox: Path) -> list[EmailMessage]:
    """Every mail in the folder, one file each."""
    files = [path for path in sorted(mailbox.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    parser = BytesParser(EmailMessage, policy=email.policy.default)
    return [parser.parsebytes(path.read_bytes()) for path in files if path.suffix != ".tmp"]


def readable(mail: EmailMessage) -> str:
    """All that somebody who opens the mail can read, headers too, but not the address it was sent to."""
    headers = "\n".join(
        f"{name}: {value}" for name, value in mail.items() if name.lower() not in {"to", "x-rcptto", "delivered-to"}
    )
    parts = [part.get_content() for part in mail.walk() if part.get_content_type().startswith("text/")]
    return "\n".join([headers, *map(str, parts)])


def telling(story: Story) -> set[str]:
    """Words that would tell something: the district's services and categories by name, in every language."""
    document = tomllib.loads(story.world.district.read_text())
    named = [*document["services"], *document["categories"], *document["agencies"]]
    words = {name for one in named for name in one["names"].values()}
    return words | {one["id"] for one in document["services"]}
