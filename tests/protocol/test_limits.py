"""The limits: frozen, validated, with the defaults that protect."""

import dataclasses

import pytest

from galeph.protocol.limits import Limits

NAMES = [one.name for one in dataclasses.fields(Limits)]
OPTIONAL = {"max_body_bytes", "max_requests_per_connection"}


class TestLimits:
    def test_have_the_defaults_that_protect(self):
        """Each number is a decision; changing one is changing the contract."""
        assert dataclasses.asdict(Limits()) == {
            "max_line_bytes": 8192,
            "max_header_bytes": 8192,
            "max_headers_bytes": 65536,
            "max_headers": 128,
            "max_trailers": 32,
            "max_chunk_line_bytes": 256,
            "max_chunk_overhead_bytes": 102400,
            "max_body_bytes": 1 << 30,
            "max_buffered_body_bytes": 1 << 20,
            "max_drain_bytes": 262144,
            "max_requests_per_connection": 1000,
            "max_connections": 10000,
            "max_redirects": 20,
            "max_interim_responses": 100,
            "max_message_bytes": 1 << 20,
            "max_fragments": 1024,
        }

    @pytest.mark.parametrize("name", NAMES)
    def test_take_any_count_from_zero(self, name):
        """Zero is a limit like another."""
        assert getattr(Limits(**{name: 0}), name) == 0
        assert getattr(Limits(**{name: 10**12}), name) == 10**12

    @pytest.mark.parametrize("name", NAMES)
    def test_refuse_a_negative_number(self, name):
        """The error names the field."""
        with pytest.raises(ValueError, match=name):
            Limits(**{name: -1})

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", [1.5, "1", True, [1]])
    def test_refuse_what_is_no_count(self, name, value):
        """True is no number of bytes."""
        with pytest.raises(TypeError, match=name):
            Limits(**{name: value})

    @pytest.mark.parametrize("name", NAMES)
    def test_may_be_off_only_where_memory_does_not_depend_on_it(self, name):
        """None means off."""
        if name in OPTIONAL:
            assert getattr(Limits(**{name: None}), name) is None
        else:
            with pytest.raises(TypeError, match=name):
                Limits(**{name: None})

    def test_cannot_be_changed(self):
        """They are shared by every connection of a server."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            Limits().max_headers = 1

    def test_are_given_by_name(self):
        """A number by position would say nothing."""
        with pytest.raises(TypeError):
            Limits(1)
