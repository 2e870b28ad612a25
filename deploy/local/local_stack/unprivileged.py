"""Runs one command as a user without rights: PostgreSQL refuses to run as root.

`python -m local_stack.unprivileged FOLDER COMMAND…`, as root. Where that user cannot reach FOLDER (a clone under
/root), the command keeps one right of root's, to pass closed folders (CAP_DAC_OVERRIDE), and no other.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

NAME = "nobody"
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_PASS = 1 << _CAP_DAC_OVERRIDE
_CAPABILITY_VERSION_3 = 0x20080522


def account() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as, if it cannot be ours: None unless we are root."""
    return pwd.getpwnam(NAME) if os.geteuid() == 0 else None


def wrapped(command: list[str], folder: Path) -> list[str]:
    """The command as it has to be started by us: unchanged unless we are root."""
    if account() is None:
        return command
    return [sys.executable, "-m", "local_stack.unprivileged", str(folder), *command]


def _capset(libc: ctypes.CDLL, effective: int, others: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(effective, others, others, 0, 0, 0)  # effective, permitted, inheritable
    return bool(libc.capset(header, data) == 0)


def _keep_passing_folders(libc: ctypes.CDLL) -> None:
    kept = _capset(libc, _PASS, _PASS)
    if not kept or libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0):
        sys.exit(f"the user {NAME} cannot reach this folder, and the right to pass cannot be kept: clone it elsewhere")


def main() -> None:
    """Become the user and run the command in this process."""
    folder, command = sys.argv[1], sys.argv[2:]
    user = pwd.getpwnam(NAME)
    libc = ctypes.CDLL(None, use_errno=True)
    # Else access(2), by which PostgreSQL's programs look for one another, would not count the right that is kept.
    libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    _capset(libc, 0, _PASS)  # from here on no right of root's counts
    if os.access(folder, os.W_OK | os.X_OK) and os.access(command[0], os.X_OK):
        _capset(libc, 0, 0)
    else:
        _keep_passing_folders(libc)
    os.execv(command[0], command)  # noqa: S606  the command is our own


if __name__ == "__main__":
    main()
