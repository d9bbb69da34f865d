"""What a rule may cost, told before it is run: an upper bound of the times that are walked through. Pure."""

from __future__ import annotations

from datetime import datetime

from app.ics.rrule import DAY, Freq, Rule

_SECONDS = {Freq.YEARLY: 365 * DAY, Freq.MONTHLY: 28 * DAY, Freq.WEEKLY: 7 * DAY, Freq.DAILY: DAY}
_TICKS = {Freq.HOURLY: 3600, Freq.MINUTELY: 60, Freq.SECONDLY: 1}


def cost(rule: Rule, start: datetime, first: datetime, last: datetime) -> int:
    """At most so many times of the rule are walked through between `first` and `last`, wall clock times.

    A COUNT is counted from `start`, so that all before `first` has to be walked as well.
    """
    begin = start if rule.count is not None else max(start, first)
    seconds = max(0, int((last - begin).total_seconds()))
    if rule.freq > Freq.DAILY:
        times = (seconds // (_TICKS[rule.freq] * rule.interval) + 1) * _within_tick(rule)
    else:
        times = (seconds // (_SECONDS[rule.freq] * rule.interval) + 1) * _days(rule) * _times_of_day(rule)
    return times if rule.count is None else min(times, rule.count)


def _times_of_day(rule: Rule) -> int:
    return _size(rule.byhour) * _size(rule.byminute) * _size(rule.bysecond)


def _within_tick(rule: Rule) -> int:
    """HOURLY expands minutes and seconds, MINUTELY seconds, SECONDLY nothing."""
    minutes = _size(rule.byminute) if rule.freq is Freq.HOURLY else 1
    return minutes * _size(rule.bysecond) if rule.freq < Freq.SECONDLY else 1


def _days(rule: Rule) -> int:
    """The most days that one period of the rule can have."""
    weekdays = _size(rule.byday)
    if rule.freq is Freq.YEARLY:
        months = _size(rule.bymonth) if rule.bymonth else 12
        by_month = _size(rule.bymonthday) * months if rule.bymonthday else 0
        by_day = weekdays * (5 * months if rule.bymonth else 53) if rule.byday else 0
        by_week = 7 * len(rule.byweekno)
        return min(366, max(len(rule.byyearday), by_month, by_day, by_week, _size(rule.bymonth)))
    if rule.freq is Freq.MONTHLY:
        return min(31, max(_size(rule.bymonthday), 5 * weekdays if rule.byday else 1))
    return min(7, weekdays) if rule.freq is Freq.WEEKLY else 1


def _size(values: tuple[object, ...]) -> int:
    return max(1, len(values))
