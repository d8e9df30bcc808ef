"""Webhooks go to addresses of the public internet only, however an address is written."""

import pytest

from core.webhooks.sending import AddressRefused, is_public, require_usable

REFUSED = {
    "this machine": ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"],
    "private networks": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1"],
    "carriers and benchmarks": ["100.64.0.1", "100.127.255.255", "198.18.0.1", "192.0.0.1", "192.88.99.1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "metadata of clouds": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
    "multicast and broadcast": ["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "ff0e::1"],
    "reserved and examples": ["240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "IPv4 in IPv6": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8"],
    "translated and tunnelled": [
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001:0:7f00:1::1",
    ],
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("address", [address for addresses in REFUSED.values() for address in addresses])
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(AddressRefused, match="not an address of the public internet"):
        require_usable("example.com", [address], development=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_of_the_public_internet_is_taken(address: str) -> None:
    assert is_public(address)
    require_usable("example.com", [address], development=False)


def test_one_address_that_is_refused_spoils_the_name() -> None:
    with pytest.raises(AddressRefused):
        require_usable("example.com", ["8.8.8.8", "10.0.0.1"], development=False)


def test_in_development_this_machine_is_taken_and_nothing_else() -> None:
    require_usable("localhost", ["127.0.0.1", "::1"], development=True)
    for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0"):
        with pytest.raises(AddressRefused):
            require_usable("localhost", [address], development=True)
