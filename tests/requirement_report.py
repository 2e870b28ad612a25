"""`python -m tests.requirement_report`: how many of F001-F204 the last test run has shown, and which it has not."""

import json
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.requirements_plugin import REQUIREMENTS, RESULT

_LONGEST = 110


def report(requirements: Mapping[str, Mapping[str, object]], shown: Collection[str]) -> str:
    """`N of 204`, the same by service (each requirement counts for the first of its services), then the rest."""
    by_service: dict[str, list[str]] = {}
    for found, one in requirements.items():
        by_service.setdefault(_service(one), []).append(found)
    lines = [f"{_count(requirements, shown)} of {len(requirements)}"]
    for service, ids in sorted(by_service.items()):
        lines.append(f"  {service:<12}{_count(ids, shown):>3} of {len(ids)}")
    rest = [found for found in requirements if found not in shown]
    if rest:
        lines += ["", "Not shown:"]
        lines += [f"  {found} {_service(requirements[found]):<11} {requirements[found]['text']}" for found in rest]
    return "\n".join(line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…" for line in lines)


def _service(requirement: Mapping[str, object]) -> str:
    services = requirement["services"]
    assert isinstance(services, list)
    return str(services[0])


def _count(ids: Collection[str], shown: Collection[str]) -> int:
    return sum(found in shown for found in ids)


def main() -> int:
    """Print the report over the last run; 1 when there has been none."""
    requirements = tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))
    result = Path(REQUIREMENTS).parents[1] / RESULT
    if not result.exists():
        print("No test run to report on: run `make test` first.", file=sys.stderr)
        return 1
    run = json.loads(result.read_text(encoding="utf-8"))
    print(report(requirements, run["shown"]))
    print(f"\nFrom the run of {run['tests']} tests that ended {run['ended']}; {run['failed']} of them failed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
