"""What a launch says, as a value: who comes, from which course, in which part of it. Pure.

It is asked only once the launch is known to be true (`app.lti.idtoken`). What a claim says may all the same be odd or
empty: it becomes a part of a calendar's name, and of patterns that say who may write where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.lti.platform import PLACE, Platform
from bridges.model import CalendarRef, Kind

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP = "https://purl.imsglobal.org/spec/lti-dl/claim/"
VERSION = "1.3.0"
LONGEST = 255
"""Letters of an id: Core 1.3 allows no more for `sub` and the ids of contexts, deployments and links."""


class LaunchRefused(ValueError):
    """A launch that is not let in. The message says why, to whoever sees the page; `status` is its HTTP status."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class Message(StrEnum):
    """What the LMS wants of us."""

    OPEN = "LtiResourceLinkRequest"
    CHOOSE = "LtiDeepLinkingRequest"  # a teacher lays a link to us into the course


class Part(StrEnum):
    """What a person is in the course."""

    TEACHER = "teacher"
    STUDENT = "student"


@dataclass(frozen=True, slots=True)
class Launch:
    """`person` is the LMS's own id of whoever comes, opaque and without a name; `called` is the name, if it was told.

    A Deep Linking request asks for what is `wanted`, and has no `calendar`: platforms need not say for which course.
    """

    platform: str
    person: str
    called: str
    part: Part
    calendar: CalendarRef | None
    title: str
    deployment: str
    wanted: Mapping[str, Any] = field(default_factory=dict)


def launch_of(claims: Mapping[str, Any], name: str, platform: Platform) -> Launch:
    """The launch that the claims of a true id_token tell, of the platform called `name`. LaunchRefused says why not."""
    if claims.get(f"{CLAIM}version") != VERSION:
        raise LaunchRefused(f"The LMS speaks another version of LTI than {VERSION}.", 400)
    message, context = claims.get(f"{CLAIM}message_type"), _object(claims, "context")
    if not isinstance(message, str) or message not in set(Message):
        raise LaunchRefused("The LMS sent a kind of message that calbridge has no answer to.", 400)
    chooses = message == Message.CHOOSE
    return Launch(
        name,
        _person(claims),
        _text(claims.get("name")),
        _part(claims, platform),
        None if chooses else CalendarRef(platform.lms, Kind.COURSE, course_of(claims, platform.course)),
        _text(context.get("title")) or _text(context.get("label")),
        deployment_of(claims),
        _deep(claims) if chooses else {},
    )


def deployment_of(claims: Mapping[str, Any]) -> str:
    """The deployment that the launch comes from. LaunchRefused where it names none."""
    deployment = claims.get(f"{CLAIM}deployment_id")
    if not isinstance(deployment, str) or not 0 < len(deployment) <= LONGEST:
        raise LaunchRefused("The launch names no deployment.", 400)
    return deployment


def course_of(claims: Mapping[str, Any], pattern: str) -> str:
    """What the course is called in its LMS, by the pattern. LaunchRefused where the launch lacks a part of that."""
    if not _object(claims, "context"):
        raise LaunchRefused("calbridge was opened outside of a course: open it from inside one.", 400)
    return PLACE.sub(lambda found: _piece(claims, found[1]), pattern)


def _piece(claims: Mapping[str, Any], place: str) -> str:
    """One claim as a part of a calendar's name: never a slash, which would name something else."""
    group, _, name = place.partition(".")
    value = _object(claims, group).get(name) if name else deployment_of(claims)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip():
        raise LaunchRefused(f"The LMS did not say what the course is called: the launch has no '{place}'.")
    if text.startswith(("$", "@X@")):  # what an LMS leaves of a variable that it does not know
        raise LaunchRefused(f"The LMS does not know the variable that is set for '{place}'.")
    if len(text) > LONGEST or "/" in text or not text.isprintable():
        raise LaunchRefused(f"The LMS calls the course by a name that cannot be one ('{place}').")
    return text.strip()


def _person(claims: Mapping[str, Any]) -> str:
    person = claims.get("sub")
    if not isinstance(person, str) or not 0 < len(person) <= LONGEST or not (person.isascii() and person.isprintable()):
        raise LaunchRefused(
            "The LMS does not say who you are: it has to send the id of users, their names it may keep."
        )
    return person


def _part(claims: Mapping[str, Any], platform: Platform) -> Part:
    held = claims.get(f"{CLAIM}roles")
    roles = [role for role in held if isinstance(role, str)] if isinstance(held, list) else []
    if platform.may_teach(roles):
        return Part.TEACHER
    if platform.may_attend(roles):
        return Part.STUDENT
    raise LaunchRefused("Nothing is here for the role that you have in this course.")


def _deep(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = claims.get(f"{DEEP}deep_linking_settings")
    taken = wanted.get("accept_types") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or not isinstance(taken, list) or "ltiResourceLink" not in taken:
        raise LaunchRefused("The LMS asks for something else than a link, and calbridge has nothing else to give.", 400)
    return wanted


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(f"{CLAIM}{name}")
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A text for people, on one line."""
    return " ".join(value.split())[:LONGEST] if isinstance(value, str) else ""
