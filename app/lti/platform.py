"""The settings of one platform: an LMS that opens us from inside its courses, and how its courses are called here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from bridges.settings import secured

MEMBER = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
"""Where the roles within a course are called; a bare word means one of these."""
# A custom parameter may be set by a teacher at some LMSs: README says to take one only where administrators alone do.
PLACE = re.compile(r"\{((?:context|lis|custom)\.[A-Za-z0-9_]{1,100}|deployment_id)\}")
"""What of a launch may stand in a course's name."""


class Platform(BaseModel):
    """`[lti.NAME]`. What the LMS tells only after calbridge was registered there may be empty until then."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    lms: str
    """The connection ([lms.…]) whose courses calbridge is opened from."""
    issuer: str = ""
    """What the LMS calls itself (iss): https://blackboard.com at Blackboard, your own address at Brightspace."""
    client_id: str = ""
    """What the LMS calls this calbridge. Empty until it is registered there: /lti/config/NAME has what that takes."""
    deployments: tuple[str, ...] = ()
    """The deployment ids that are let in; empty: any. At Blackboard name yours: other schools have the same issuer."""
    auth_login_url: str = ""
    """Where the LMS vouches for people (OIDC authentication request)."""
    jwks_url: str = ""
    """Where the LMS publishes its keys."""
    course: str = "{context.id}"
    """What a course is called after LMS/course/: {context.id}, {context.label}, {lis.…} or {custom.…} of the launch."""
    teachers: tuple[str, ...] = ("Instructor", "ContentDeveloper", "Administrator")
    """Roles in the course (of LIS; others as whole URIs) that may import into its calendar, and into no other."""
    students: tuple[str, ...] = ("Learner", "Mentor", "Member")
    """Roles in the course that get an address of its calendar."""
    feeds: bool = True
    """Whether a course that has no secret feed yet gets one when somebody opens calbridge there."""
    sites: tuple[str, ...] = ()
    """Sites that may show calbridge within their pages, as https://learn.example.edu; empty: the issuer's."""

    @field_validator("auth_login_url", "jwks_url", "issuer")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        if url:
            secured(url)
        return url

    @field_validator("sites")
    @classmethod
    def _origins(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        for site in sites:
            if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?", site):
                raise ValueError(f"'{site}' is no site: write it as https://learn.example.edu")
        return sites

    @field_validator("course")
    @classmethod
    def _of_claims(cls, course: str) -> str:
        if not PLACE.search(course):
            raise ValueError("names no claim: write it as {context.id} or courseId:{context.label}")
        if re.search(r"[{}]", PLACE.sub("", course)):
            raise ValueError("the claims are context.…, lis.…, custom.… and deployment_id, each in its braces")
        return course

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.client_id and self.missing:
            raise ValueError(f"with a client_id it needs {' and '.join(self.missing)}, too")
        return self

    @property
    def missing(self) -> tuple[str, ...]:
        """The settings without which nobody can be let in."""
        needed = ("issuer", "client_id", "auth_login_url", "jwks_url")
        return tuple(name for name in needed if not getattr(self, name))

    @property
    def framed_by(self) -> tuple[str, ...]:
        """The sites whose pages may show ours."""
        if self.sites or not self.issuer:
            return self.sites
        return (f"{urlsplit(self.issuer).scheme}://{urlsplit(self.issuer).netloc}",)

    def takes(self, deployment: str) -> bool:
        """Whether that deployment is let in."""
        return not self.deployments or deployment in self.deployments

    def may_teach(self, roles: Iterable[str]) -> bool:
        return _any_of(self.teachers, roles)

    def may_attend(self, roles: Iterable[str]) -> bool:
        return _any_of(self.students, roles)


def _any_of(wanted: Iterable[str], held: Iterable[str]) -> bool:
    """Only roles within the course count by a bare word: who teaches elsewhere in the school is no teacher here."""
    return not set(map(_whole_name, wanted)).isdisjoint(map(_whole_name, held))


def _whole_name(role: str) -> str:
    """Core 1.3, A.2.3: a context role may come by its bare name."""
    return role if ":" in role else f"{MEMBER}{role}"
