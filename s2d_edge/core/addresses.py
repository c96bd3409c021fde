"""Network addresses: shown without their secrets, and written so that any password can be used."""

from __future__ import annotations

import re
from urllib.parse import quote

HIDDEN = "***"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*:/{1,3})", re.IGNORECASE)  # a path folds // into /
_WITH_USER = re.compile(rf"{_SCHEME.pattern}[^\n]*@", re.IGNORECASE)
_ADDRESS = re.compile(rf"({_SCHEME.pattern}[^\s?#,)\"']*)([?#][^\s:;,)\"']*)?", re.IGNORECASE)
_BARE_USER = re.compile(r"[^\s:@/('\"]+:(?!/)[^\s@]+@(?=[\w\[])")  # an address without its scheme
_VALUE = re.compile(r"=[^/&;,:]*")
_RESERVED = re.compile(r"[/?#]")
_RESERVED_QUERY = re.compile(r"[?#]")
_KEPT_IN_USER = ":!$&'()*+,;=%"


def redact(address: str) -> str:
    """An address without user, password, query and fragment, and without values in its path.

    Args:
        address: a URL, whole or not, with characters that a URL would not allow.
    """
    found = _SCHEME.match(address)
    scheme, rest = (found.group(1), address[found.end() :]) if found else ("", address)
    _, with_user, place = rest.rpartition("@")
    path, *further = _RESERVED_QUERY.split(place, maxsplit=1)
    query = f"?{HIDDEN}" if further else ""
    return f"{scheme}{f'{HIDDEN}@' if with_user else ''}{_VALUE.sub(f'={HIDDEN}', path)}{query}"


def redact_text(text: str) -> str:
    """A text without the secrets of the addresses in it."""
    text = _WITH_USER.sub(rf"\1{HIDDEN}@", text)
    text = _ADDRESS.sub(lambda found: redact(found.group()), text)
    return _BARE_USER.sub(f"{HIDDEN}@", text)


def with_quoted_user(address: str) -> str:
    """Percent-encode what user and password may not hold in a URL, so that FFmpeg finds the host."""
    scheme, separator, rest = address.partition("://")
    authority = _RESERVED.split(rest, maxsplit=1)[0]
    if "@" in authority:
        user, _, host = authority.rpartition("@")
        tail = host + rest[len(authority) :]
    elif "@" in rest and ":" in authority and not authority.rpartition(":")[2].isdecimal():
        user, _, tail = rest.rpartition("@")  # what looks like the path is still the password
    else:
        return address
    kept = re.sub(r"%(?![0-9a-fA-F]{2})", "%25", user)
    return f"{scheme}{separator}{quote(kept, safe=_KEPT_IN_USER)}@{tail}"
