"""Status codes."""

import pytest

from galeph.message.status import has_no_body, reason_phrase


class TestReasonPhrase:
    @pytest.mark.parametrize(
        ("status", "phrase"),
        [
            (100, "Continue"),
            (101, "Switching Protocols"),
            (103, "Early Hints"),
            (200, "OK"),
            (404, "Not Found"),
            (413, "Content Too Large"),
            (414, "URI Too Long"),
            (416, "Range Not Satisfiable"),
            (422, "Unprocessable Content"),
            (431, "Request Header Fields Too Large"),
            (505, "HTTP Version Not Supported"),
        ],
    )
    def test_is_that_of_the_registry(self, status, phrase):
        """RFC 9110 section 15, the same under every version of Python."""
        assert phrase == reason_phrase(status)

    def test_is_empty_for_a_status_nobody_registered(self):
        """No phrase is better than a wrong one."""
        assert reason_phrase(299) == ""
        assert reason_phrase(999) == ""


class TestHasNoBody:
    @pytest.mark.parametrize("status", [100, 101, 103, 199, 204, 304])
    def test_holds_for_interim_and_for_two_final_ones(self, status):
        """RFC 9110 section 6.4.1."""
        assert has_no_body(status) is True

    @pytest.mark.parametrize("status", [200, 203, 205, 206, 303, 305, 404, 500])
    def test_does_not_hold_for_others(self, status):
        """205 has a body of length 0, which is another thing."""
        assert has_no_body(status) is False
