"""What the rules of the feed doctor say (app.doctor.rules)."""

from __future__ import annotations

from app.web.sentences.sentence import says

SENTENCES = (
    says("Without a UID each refresh makes new events of old ones."),
    says("DTSTAMP is required; most readers forgive it."),
    says("An event without a start is not shown."),
    says("The event has no title."),
    says("This is no date or time: the event is lost."),
    says("Of events with one UID only one is kept: give each its own, or make a series of them with RECURRENCE-ID."),
    says("UIDs of more than 255 octets are cut by some."),
    says("A date needs ;VALUE=DATE, or is taken for a broken time."),
    says("It says that it is a date, and has a time: the event is lost."),
    says("Start and end have to be of one kind: both days, or both times."),
    says("Start and end have to be of one kind."),
    says("A day's DTEND is the day after: this event lasts no time, and some do not show it."),
    says("The event ends before it begins: it is lost, or refused."),
    says("Exchange fails to import an event with neither DTEND nor DURATION."),
    says("An event has DTEND or DURATION, not both."),
    says("This is no duration: write PT1H30M."),
    says("A whole day that is told as times moves to the day before in other zones: use ;VALUE=DATE."),
    says("This property stands once in an event."),
    says("Outlook shows a cancelled event as if it took place: leave it out, or say it in the title."),
    says("Google takes cancelled events out of view."),
    says("STATUS is TENTATIVE, CONFIRMED or CANCELLED."),
    says("Tags and entities are shown as they stand: send plain text."),
    says("X-ALT-DESC needs ;FMTTYPE=text/html."),
    says("Scripts in texts are stripped, and make filters suspicious."),
    says("Google, Outlook and Apple ignore the alarms of subscriptions."),
    says("Most readers drop attachments of subscriptions."),
    says("A file inside the feed makes it heavy at each refresh: link to it."),
    says("A published event has no attendees: Outlook makes meetings of them."),
    says("DTSTAMP is in UTC."),
    says("SEQUENCE is a whole number."),
    says("VERSION:2.0 is required."),
    says("Only version 2.0 is iCalendar; others are read wrongly."),
    says("PRODID is required."),
    says("Many readers stop after the first VCALENDAR."),
    says("Outlook takes this for an invitation or its answer: a feed is METHOD:PUBLISH."),
    says("METHOD:PUBLISH says that this is a feed."),
    says("Dates are Gregorian, or are read wrongly."),
    says("Without a name the subscription is called after its address."),
    says("Without X-PUBLISHED-TTL Outlook has been seen to wait for 168 hours."),
    says("This is no duration: write PT1H for an hour."),
    says("REFRESH-INTERVAL needs ;VALUE=DURATION."),
    says("The feed is empty: whoever subscribes sees nothing, and no error."),
    says("Google was seen to show about 1,111 events of a feed: publish fewer days."),
    says("Subscriptions show events alone; tasks and journals are not seen."),
    says("This rule cannot be read: the series is lost, or is one event."),
    says("An event has one RRULE; of more, one is read."),
    says("A series in UTC moves by an hour when clocks change: name the zone."),
    says("UNTIL has to be of DTSTART's kind, in UTC where there is a zone: else the last event is lost or added."),
    says("A series ends by UNTIL or by COUNT, not both."),
    says("Outlook and Google know no series more often than daily: write the events out."),
    says("Outlook keeps plain daily, weekly, monthly and yearly series alone."),
    says("A changed member without its series: shown as a lone event, or not at all."),
    says("The member is not recognised: the event is shown twice."),
    says("THISANDFUTURE is read by few: split the series in two."),
    says("EXDATE has to be of DTSTART's kind: else the event is shown that was taken out."),
    says("An EXDATE in UTC in a series with a zone: some miss it."),
    says("Outlook does not take periods as further dates."),
    says("The address does not give a calendar."),
    says("Subscriptions of Google and outlook.com cannot sign in: publish a secret address instead."),
    says("Google's and Microsoft's servers fetch the feed, and cannot come here: only a public address works."),
    says("Calendar programs do not trust this certificate."),
    says("Over http anybody on the way reads the feed, and its secret address; outlook.com takes https alone."),
    says("webcal:// opens Apple's dialog; elsewhere paste the same address with https://."),
    says("Some programs follow no redirect: paste the last address."),
    says("Some programs tell calendars by the ending .ics."),
    says("Google's and Microsoft's servers give up on slow feeds."),
    says(
        "Google obeys robots.txt, and says that it cannot fetch the address: allow the path; a header "
        "X-Robots-Tag: noindex keeps it out of search."
    ),
    says("A calendar is text/calendar; some refuse others."),
    says("Calendars are in UTF-8, and the header says otherwise."),
    says("Without charset=utf-8 letters may be guessed wrongly."),
    says("Browsers offer a download instead of a subscription."),
    says("Outlook refused feeds that were always compressed: compress only when asked, and say so in Vary."),
    says("Every look costs the whole feed: send an ETag, the hash of the body."),
    says("An ETag stands in double quotes, or never matches."),
    says("This is no HTTP date: Apple asks by it."),
    says("No program may keep a copy for when you are away."),
    says("Changes are hidden by caches for longer than a day."),
    says("An empty feed is refused, or empties the calendar."),
    says("This is no iCalendar stream: every program refuses it."),
    says("The stream breaks off: programs refuse it or lose its end."),
    says(
        "A line that is neither a property nor a fold: what it says is lost, and strict readers refuse the "
        "whole feed. Write line breaks of texts as \\n, and fold with a blank."
    ),
    says("BEGIN and END do not fit one another: events are lost."),
    says("Calendars are in UTF-8; this one is not."),
    says("Bytes that are not UTF-8: letters are shown wrongly."),
    says("A byte order mark hides the first BEGIN from strict readers: write the file without one."),
    says("Lines end in CR LF; some readers take nothing else."),
    says("A CR alone ends no line, or ends one that was to go on."),
    says("Lines are folded at 75 octets; most readers forgive it."),
    says("A fold in the middle of a letter or an escape garbles the text in some readers: fold between letters."),
    says("Control characters are not allowed in texts."),
    says("A letter was lost before the feed was written."),
    says("Google loses events of feeds above about 1 MB: publish fewer days or shorter texts."),
    says("The feed comes near to the 1 MB above which Google loses events."),
    says(
        "UIDs are new at each fetch: events flicker or double, and reminders are lost. Make the UID of what "
        "never changes."
    ),
    says("DTSTAMP is new though nothing changed: no copy is ever the same."),
    says("The ETag changes though the body does not."),
    says("The server says 'not modified' to anybody: subscribers get the feed once, and never a change."),
    says(
        "A zone that is named and not defined: Outlook was seen to show such events an hour late. Send one "
        "VTIMEZONE for each TZID."
    ),
    says(
        "Nobody knows this zone for sure and the feed does not define it: each program takes the reader's "
        "own. Use an IANA name (Europe/Oslo), and define it."
    ),
    says("This is no IANA name; programs go by the VTIMEZONE, or guess."),
    says("A zone is defined once."),
    says("A zone without a STANDARD part: Outlook for Mac refuses the feed."),
    says(
        "Of several STANDARD or DAYLIGHT parts Outlook reads the latest, or refuses the feed: send one of "
        "each, of these years."
    ),
    says("Exchange fails the whole import without both offsets."),
    says(
        "Outlook cannot read a zone's rule without one BYDAY or BYMONTHDAY. A zone without summer time needs no rule."
    ),
    says("A zone's rule is yearly, for Outlook."),
    says("Outlook goes by yearly rules, not by lists of dates."),
    says("A time without a zone is another moment for each reader: name the zone."),
    says("Classic Outlook shows times as 'UTC' in the details of such events: name the zone of the place instead."),
    says("A time is in UTC or in a zone, not both."),
)
