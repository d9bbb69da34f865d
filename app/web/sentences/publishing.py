"""What feeds say of themselves and of their readers (app.feeds)."""

from __future__ import annotations

from app.web.sentences.sentence import counted, says

SENTENCES = (
    says("nobody has looked yet"),
    says("no end"),
    says("through %(day)s"),
    says("until %(at)s"),
    says("another program"),
    says("a browser"),
    says("%(client)s last looked %(ago)s ago"),
    says("%(client)s last looked %(ago)s ago; it should have looked again by now"),
    says("%(client)s last looked %(ago)s ago; expect a change to be seen by about %(at)s"),
    says("%(client)s last looked %(ago)s ago; expect a change to be seen by about %(at)s on %(day)s"),
    says("%(days)s days"),
    says("there is no such feed"),
    says("there is no such feed any more"),
    says("there is no feed called '%(slug)s'"),
    says("there is a feed called '%(slug)s' already"),
    says("'%(slug)s' is switched off"),
    says("'%(slug)s' cannot stand in an address: use small letters, digits and hyphens, 100 at most"),
    says("a feed needs a title, of %(most)s letters at most"),
    says("a token needs a name, of %(most)s letters at most"),
    says("'%(slug)s' has a token called '%(name)s' already: revoke it first, or choose another name"),
    says("'%(slug)s' has no token called '%(name)s'"),
    says("'%(slug)s' is public: it has no token"),
    says("%(until)s is past: the token would never open anything"),
    says("'%(setting)s' sets nothing: write key=value; the keys are %(keys)s"),
    says("a feed shows at least one day, today"),
    says("'%(text)s' is no number of %(unit)s, 0 to %(most)s"),
    says("'%(rule)s' changes nothing: write 'old title=>new title', several with |"),
    says("'%(text)s' is none of %(words)s"),
    says("'%(text)s' is neither on nor off"),
    says("%(name)s: calendars are read for %(days)s days (feeds.%(key)s_days); ask for no more"),
    says("learningspace: its addresses hold no secret, so that the feed has to be a public one"),
    counted(
        "%(num)s events are gone at once; they are shown until another reading says so too.",
        "%(num)s events are gone at once; they are shown until another reading says so too.",
    ),
    says(
        "%(lms)s: %(calendars)s calendars need about %(calls)s calls a day; the LMS has not said how many it "
        "permits a day."
    ),
    says("%(lms)s: %(calendars)s calendars need about %(calls)s calls a day, of the %(limit)s that it permits."),
    says(
        "%(lms)s: %(calendars)s calendars need about %(calls)s calls a day, and it permits %(limit)s: they "
        "will be read "
        "less often. Raise feeds.refresh_minutes or feeds.far_minutes, lower feeds.ahead_days, or ask for a "
        "larger quota."
    ),
    says("The LMS has not given a calendar of it out since %(since)s: %(why)s. It is shown no more."),
    says(
        "The LMS has not given a calendar of it out since %(since)s: %(why)s. The last copy is shown until %(until)s."
    ),
    says(
        "'%(title)s' is shown no more: its learning-management system has not given its calendar out since "
        "%(since)s. The feed comes back with the calendar."
    ),
    says("'%(title)s' is being read for the first time."),
    says("'%(title)s' could not be read yet: %(why)s."),
    says("This feed has %(size)s MB, and Google loses events of feeds above 1 MB: show fewer days."),
)
