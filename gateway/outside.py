"""Which addresses outside may be fetched from; pure.

What is refused: all that is not the public internet. A name is judged by every address it resolves to, and what is
connected to is what was judged (gateway.fetcher).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

from gateway.errors import FetchError

PORTS = {"http": 80, "https": 443}
# IANA, IPv4 and IPv6 Special-Purpose Address Registries: written out, for Python's own lists differ by version.
_CLOSED_4 = tuple(map(IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip
_GLOBAL_6 = IPv6Network(
    "2000::/3"
)  # all else of IPv6 is loopback, mapped, NAT64, link-local, fd00::/8, multicast
_CLOSED_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))  # 2002: 6to4


@dataclass(frozen=True, slots=True)
class Rules:
    """Where to. *hosts*: only these, None for any; an entry is a host, or host:port for a port of its own.

    *own*: a host of the operator's choice, which may have any address and any port; '' for none. *within*: only these
    and what is below them, empty for any; *never*: not these, nor what is below them, whatever else is said.
    """

    hosts: frozenset[str] | None = None
    own: str = ""
    within: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    def judge(self, url: str | URL) -> URL:
        """The address as it is to be called. Raises FetchError(kind='refused'), which says why."""
        if len(str(url)) > 8000:
            raise refused("the address is too long")
        try:
            found = url if isinstance(url, URL) else URL(url)
            scheme, host, port = found.scheme, (found.raw_host or "").rstrip("."), found.port
        except ValueError:
            raise refused("the address cannot be read") from None
        if scheme not in PORTS:
            raise refused("only http and https are fetched")
        if not host:
            raise refused("the address has no host")
        if found.raw_user is not None or found.raw_password is not None or "@" in found.raw_authority:
            raise refused("an address with a user or a password is not fetched")
        if self.own and host == self.own.lower():
            return found.with_fragment(None)
        if below(host, self.never) or (self.within and not below(host, self.within)):
            raise refused(f"the operator does not let {host} be fetched from")
        if self.hosts is not None and not {host, f"{host}:{port}"} & self.hosts:
            raise refused(f"{host} is not among the hosts that may be fetched from")
        if port != PORTS[scheme] and f"{host}:{port}" not in (self.hosts or ()):
            raise refused("only the ports 80 and 443 are fetched from")
        if is_number(host) and not is_public(host):
            raise refused("that is not a public address")
        return found.with_fragment(None)

    def onward(self, here: URL, location: str) -> URL:
        """Where a redirect leads. Raises FetchError(kind='refused'): it is judged as any, and never leaves https."""
        try:
            there = here.join(URL(location))
        except ValueError:
            raise refused("it leads to an address that cannot be read") from None
        if here.scheme == "https" and there.scheme != "https":
            raise refused("it leads from https elsewhere")
        return self.judge(there)

    def admit(self, host: str, addresses: Collection[str]) -> None:
        """The addresses that a name has. Raises FetchError(kind='refused') if one of them is not public."""
        if self.own and host.rstrip(".").lower() == self.own.lower():
            return
        if not addresses or not all(map(is_public, addresses)):
            raise refused(f"{host} is not at a public address")


def below(host: str, names: Collection[str]) -> bool:
    """Whether a host is one of *names* or below one, as docs.example.com is below example.com."""
    return any(host == name or host.endswith(f".{name}") for name in names)


def is_number(host: str) -> bool:
    """Whether a resolver takes it for an address and not for a name: 127.1, 0x7f000001, 2130706433, [::1].

    The rule of the WHATWG URL Standard ("ends in a number"), and everything with a colon.
    """
    last = host.rpartition(".")[2]
    return ":" in host or last.isdigit() or last.lower().startswith("0x")


def is_public(address: str) -> bool:
    """Whether an address, in its usual form, is one of the public internet; any other form is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in each for each in _CLOSED_4)
    assert isinstance(found, IPv6Address)
    return found in _GLOBAL_6 and not any(found in each for each in _CLOSED_6)


def refused(text: str) -> FetchError:
    return FetchError(text, kind="refused")
