"""Addresses that may be called: requests that leave for public machines only, whatever a name resolves to.

The check and the connection use the same answer of the resolver, so a name that changes its address in between gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[Address]]

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_PORTS = {"http": 80, "https": 443}


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host. Raises ValueError when its name is unknown."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"The host {host!r} cannot be resolved: {error}.") from error
    return [ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]


def is_public(address: Address) -> bool:
    """Say whether an address belongs to the public internet; an IPv6 address that wraps an IPv4 one counts as that."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def public_address(host: str, port: int, resolver: Resolve = resolve) -> Address:
    """Return an address of a host that may be called. Raises ValueError when any of its addresses is not public."""
    addresses = list(resolver(host, port))
    if not addresses:
        raise ValueError(f"The host {host!r} has no address.")
    for address in addresses:
        if not is_public(address):
            raise ValueError(
                f"The host {host!r} resolves to {address}, which is not a public address, and private ones are not allowed here. "
                "Set `allow_private_urls=True` if this is meant."
            )
    return addresses[0]


def validate_restricted_url(url: str) -> None:
    """Raise ValueError unless `url` is an http or https address of a public machine.

    This protects the services of the machine and its network (metadata services, databases, …) from requests to addresses that
    others choose. To send a request use `restricted_transport`, which checks the address that it connects to.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError(f"The URL must begin with http:// or https://, not {parts.scheme!r}.")
    if not parts.hostname:
        raise ValueError("The URL names no host.")
    public_address(parts.hostname, parts.port or _PORTS[parts.scheme])


def restricted_transport(verify: bool = True, resolver: Resolve = resolve, inner: httpx.BaseTransport | None = None) -> httpx.BaseTransport:
    """Return a transport for `httpx.Client` that connects to public addresses only, each redirect included.

    The host's name is resolved once; the connection goes to the address that was checked, while the name stays in the `Host` header
    and in TLS, where the certificate must match it. Refused requests raise ValueError.
    """
    import httpx

    sender = inner or httpx.HTTPTransport(verify=verify, trust_env=False)

    class RestrictedTransport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            if url.scheme not in _PORTS:
                raise ValueError(f"The URL must begin with http:// or https://, not {url.scheme!r}.")
            address = public_address(url.host, url.port or _PORTS[url.scheme], resolver)
            request.url = url.copy_with(host=str(address))
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            return sender.handle_request(request)

        def close(self) -> None:
            sender.close()

    return RestrictedTransport()
