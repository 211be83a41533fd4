"""The values that describe a connection."""

from __future__ import annotations

import dataclasses

import pytest

from galeph.transport.base import ConnectionInfo, TLSInfo


class TestValues:
    def test_connection_info(self):
        """Who is connected is a value: equal by content, unchangeable, plain by default."""
        info = ConnectionInfo("192.0.2.1", 1234, "192.0.2.2", 80)

        assert info == ConnectionInfo("192.0.2.1", 1234, "192.0.2.2", 80, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            info.remote_port = 1

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
