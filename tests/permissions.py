"""Permissions of files that hold for the superuser too."""

import concurrent.futures
import ctypes
import os

_VERSION = 0x20080522  # of the interface; see capget(2)
_OVERRIDE = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, see capabilities(7)


def call_as_owner(function, *arguments):
    """What a call comes to where files that are closed to their owner are closed to root as well.

    Linux gives the superuser's threads capabilities for that; this one is without, for good:
    `os.access` asks for those that it could take back.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        if os.geteuid() == 0:
            thread.submit(_give_up).result()
        return thread.submit(function, *arguments).result()


def _give_up():
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)  # 0: this thread
    present = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    for code in (
        libc.capget(header, present),
        libc.capset(header, type(present)(*(p & ~_OVERRIDE for p in present[:3]), *present[3:])),
    ):
        if code:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
