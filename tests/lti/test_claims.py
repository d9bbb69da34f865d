"""Whatever a launch says: it is refused with a sentence, or it names one calendar and no pattern of others."""

from __future__ import annotations

import glob
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lti.claims import CLAIM, DEEP, LaunchRefused, Part, course_of, launch_of
from app.lti.idtoken import check
from app.lti.platform import MEMBER, Platform
from bridges.model import CalendarRef
from tests.campus import NOW

PATTERNS = ("{context.id}", "courseId:{context.label}", "{custom.course}-{lis.course_offering_sourcedid}")
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
NAMES = ("message_type", "version", "deployment_id", "roles", "context", "custom", "lis")
WHOLE: dict[str, Any] = {
    "sub": "u-1",
    f"{CLAIM}version": "1.3.0",
    f"{CLAIM}message_type": "LtiResourceLinkRequest",
    f"{CLAIM}deployment_id": "d-1",
    f"{CLAIM}roles": [f"{MEMBER}Instructor"],
    f"{CLAIM}context": {"id": "c-1", "label": "BIO101", "title": "Biology"},
}


def platform(course: str = "{context.id}", **more: Any) -> Platform:
    return Platform(lms="demo", course=course, **more)


@given(
    changes=st.dictionaries(st.sampled_from(["sub", "name", *(f"{CLAIM}{name}" for name in NAMES)]), ANYTHING),
    pattern=st.sampled_from(PATTERNS),
)
def test_any_claims_are_a_launch_or_are_refused(changes: dict[str, Any], pattern: str) -> None:
    try:
        launch = launch_of(WHOLE | changes, "school", platform(pattern))
    except LaunchRefused:
        return
    assert launch.calendar
    assert CalendarRef.parse(str(launch.calendar)) == launch.calendar


@given(asked=ANYTHING, settings=st.booleans())
def test_any_deep_linking_request_is_one_or_is_refused(asked: Any, settings: bool) -> None:
    wanted = {"accept_types": asked} if settings else asked
    claims = WHOLE | {f"{CLAIM}message_type": "LtiDeepLinkingRequest", f"{DEEP}deep_linking_settings": wanted}
    try:
        launch = launch_of(claims, "school", platform())
    except LaunchRefused:
        return
    assert "ltiResourceLink" in launch.wanted["accept_types"]


@given(id=st.text(min_size=1), other=st.text(min_size=1))
def test_the_name_of_a_course_is_no_pattern_of_others(id: str, other: str) -> None:
    def named(text: str) -> str:
        return course_of({f"{CLAIM}context": {"id": text}}, "{context.id}")

    try:
        mine, theirs = named(id), named(other)
    except LaunchRefused:
        return
    assert fnmatchcase(theirs, glob.escape(mine)) == (mine == theirs)


@given(claims=st.dictionaries(st.sampled_from(["iss", "aud", "azp", "exp", "iat", "nonce"]), ANYTHING))
def test_claims_that_are_not_for_us_are_refused_whatever_they_are(claims: dict[str, Any]) -> None:
    with pytest.raises(LaunchRefused):
        check(claims, platform(issuer="https://x.example"), "a nonce", NOW)


@pytest.mark.parametrize(
    ("roles", "part"),
    [
        (["Instructor"], Part.TEACHER),
        ([f"{MEMBER}Instructor", f"{MEMBER}Learner"], Part.TEACHER),
        ([f"{MEMBER}Learner", 7, None], Part.STUDENT),
        (["Mentor"], Part.STUDENT),
    ],
)
def test_a_role_comes_whole_or_by_its_bare_name(roles: list[Any], part: Part) -> None:
    assert launch_of(WHOLE | {f"{CLAIM}roles": roles}, "school", platform()).part is part
