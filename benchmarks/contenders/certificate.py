"""The certificate of the TLS cases, the same for every contender: P-256, made by nobody."""

from __future__ import annotations

__all__ = ["CERTIFICATE"]

# Its key protects nothing. It is written down because to make one would need another package in
# the contenders, and a new one each time would be another work for each.
CERTIFICATE = b"""\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmmg+0vSbcboPfH8R
XL/Kkd3Jq8Wu9TYf7pI3R8zlj3WhRANCAAT56yMWcA6Or1u77rHVi7JCxTHWYOid
mqz5TKrOmkHS1uBBfNd3xHR616MhgBr/3qOlOQedqf6JnF+sxin5WH4C
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIULF6KL3Uar0IdA5q/cRk+4GPfYjIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjE2MTAxOFoYDzIxMjYxMTAy
MTYxMDE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT56yMWcA6Or1u77rHVi7JCxTHWYOidmqz5TKrOmkHS1uBBfNd3xHR6
16MhgBr/3qOlOQedqf6JnF+sxin5WH4Co2kwZzAdBgNVHQ4EFgQUFw6hxjgzNAp7
NNv1JLZvjSPq430wHwYDVR0jBBgwFoAUFw6hxjgzNAp7NNv1JLZvjSPq430wDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhALEVGqubAunD5A48XnHNrTBHiWzP+IBRs6GQZgFJQ2J7AiANcXJx3KH4
lJiskrgsnEIIHdV0hz0znkZPNhyV4TsmfA==
-----END CERTIFICATE-----
"""
