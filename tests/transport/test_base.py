"""The values that describe a connection."""

from __future__ import annotations

import dataclasses

import pytest

from galeph.transport.base import ConnectionInfo, TLSInfo, address_text


class TestValues:
    def test_connection_info(self):
        """Who is connected is a value: equal by content, unchangeable, plain by default."""
        info = ConnectionInfo("192.0.2.1", 1234, "192.0.2.2", 80)

        assert info == ConnectionInfo("192.0.2.1", 1234, "192.0.2.2", 80, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            info.remote_port = 1

    def test_our_own_end_makes_no_difference(self):
        """Who is connected to whom is the same from wherever one looks."""
        info = ConnectionInfo("192.0.2.1", 1, "192.0.2.2", 80, local_addr="::1", local_port=5)

        assert info == ConnectionInfo("192.0.2.1", 1, "192.0.2.2", 80)
        assert {
            "local_address": "[::1]:5",
            "remote_address": "192.0.2.1:1",
            "tls": None,
        } == info.description()

    def test_description_has_the_version_of_tls(self):
        """The rest of what it agreed on is no matter of the stream."""
        tls = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")

        assert "TLSv1.3" == ConnectionInfo("/run/a.sock", 0, "", 0, tls).description()["tls"]

    @pytest.mark.parametrize(
        ("addr", "port", "text"),
        [
            ("192.0.2.1", 80, "192.0.2.1:80"),
            ("::1", 80, "[::1]:80"),
            ("/run/a.sock", 0, "/run/a.sock"),
        ],
    )
    def test_addresses_as_text(self, addr, port, text):
        """Of each family as one writes it."""
        assert text == address_text(addr, port)

    def test_tls_info(self):
        """So is what TLS agreed on."""
        info = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")

        assert (None, None, None) == (
            info.alpn_protocol,
            info.server_hostname,
            info.peer_certificate,
        )
        with pytest.raises(dataclasses.FrozenInstanceError):
            info.version = "TLSv1.0"
