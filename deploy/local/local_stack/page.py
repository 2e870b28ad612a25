"""The short page after the start: what runs where, who can log in, what to try next."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from local_stack import openid
from local_stack.services import GATEWAYS, Site


def show(console: Console, site: Site, pids: Mapping[str, int]) -> None:
    """Print it."""
    console.print()
    console.print(_where(site, pids))
    console.print("[bold]Who can log in[/bold] (anybody may be anybody here; only synthetic national ids are let in)")
    for line in _who(site):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    console.print("[bold]What to try next[/bold]")
    for line in _next(site):
        console.print(f"  {line}", soft_wrap=True, highlight=False)


def _where(site: Site, pids: Mapping[str, int]) -> Table:
    table = Table(title="What runs where", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("part", "where", "process"):
        table.add_column(heading, overflow="fold")
    for part, pid in pids.items():
        table.add_row(part, _address(site, part), str(pid))
    return table


def _address(site: Site, part: str) -> str:
    if part in GATEWAYS:
        return f"{site.url(part)}  (live, ready, metrics: {site.url(f'{part}-operations')})"
    if part == "kafka":
        return f"{site.bootstrap}  (agencies: {site.agency_bootstrap})"
    if part == "mailbox":
        return f"smtp 127.0.0.1:{site.ports['mailbox']}  (mails: {site.state / 'mail'})"
    if part == "postgres":
        return f"127.0.0.1:{site.ports['postgres']}"
    if part == "openid":
        issuers = openid.issuers(site.ports["openid"])
        return f"{issuers.citizen} (citizens), {issuers.staff} (staff), {issuers.machine} (machines)"
    return site.url(part) if part in site.ports else "-"


def _who(site: Site) -> list[str]:
    claims = '{"pid": "<synthetic national id>", "acr": "idporten-loa-high"}'
    return [
        f"citizens: {site.url('gateway-1')}/login?as=citizen&next=/me, claims {claims}",
        f"staff:    {site.url('gateway-1')}/login?as=staff&next=/session,",
        '          user of your choice, claims {"acr": "high"};',
        "          the first administrator redeems, once, the code in " + str(site.vault.path("first-admin-code")),
        "machines: a client for each agency of the district, by JWT grant at the machines' issuer",
    ]


def _next(site: Site) -> list[str]:
    gateway = site.url("gateway-1")
    return [
        f"curl '{gateway}/guides/gamlebyen'      the handling guide, as anybody may read it",
        f"{site.url('zipkin')}      every trace, from the door over Kafka to the last consumer",
        "make why      who leads, who holds a lease, who is behind",
        "make dlq      dead letters, and how to play them back",
        f"tail -f '{site.state / 'logs'}'/*.log",
        "Ctrl-C stops everything; `make clean` forgets it.",
    ]
