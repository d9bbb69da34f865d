"""What plans, runs and reports of imports say (app.imports)."""

from __future__ import annotations

from app.web.sentences.sentence import counted, says

SENTENCES = (
    counted("%(num)s event", "%(num)s events"),
    says("The file holds no event at all, and %(events)s would be deleted."),
    says("It would delete %(gone)s of the %(events)s that earlier imports of '%(source)s' wrote."),
    says("The file holds %(events)s; last time it held %(previous)s."),
    says(
        "The calendar has changed since this was planned: it would now delete %(events)s more, "
        "among them '%(title)s'. Look at the new plan and say yes again."
    ),
    says(
        "Of the file's %(events)s, %(new)s came under a UID that was not there before, and %(twins)s of these stand "
        "here already, with the same title, time and place. It seems that '%(source)s' gets new UIDs at each export: "
        "import it with match=content ('--match content'), and events are known by what they are."
    ),
    says(
        "None of its events was in earlier files of '%(source)s', and %(events)s of those would "
        "be deleted. If this is another calendar, give the import a name of its own."
    ),
    says("The quota would end before the plan does: %(list)s."),
    counted("%(num)s write", "%(num)s writes"),
    says("%(writes)s writes in %(calls)s calls"),
    says("%(count)s calls left today"),
    says("%(count)s calls left for now"),
    says("%(count)s calls left until %(at)s"),
    says("of which %(count)s are kept for feeds"),
    says("done about %(at)s"),
    says("Somebody has deleted it in the LMS. It was left so: 'calbridge drift restore' writes it again."),
    says("Somebody changed it in the LMS."),
    says("Somebody deleted it in the LMS."),
    says("Somebody changed it in the LMS, and the file has changed it too."),
    says("Somebody deleted it in the LMS, and the file has changed it too."),
    says("Somebody changed it in the LMS, and the file has it no more."),
    says("Somebody deleted it in the LMS, and the file has it no more."),
    says("It was left so; 'calbridge drift list' shows it, and 'drift restore' writes it again."),
    says("Somebody had deleted it in the LMS."),
    says("Somebody had deleted it in the LMS; it was written again."),
    says("Somebody had made it in the LMS: %(what)s."),
    says("It was left alone: another run has changed it since."),
    says("It was left alone: it does not stand as the run left it."),
    says("It was left alone: somebody has changed it in the LMS since (calbridge drift list)."),
    says("It was left alone: somebody has deleted it in the LMS since (calbridge drift list)."),
    says("It was paused, as somebody wished."),
    says("It was cancelled, as somebody wished. What was written before stays."),
    says("The worker was stopped; the next one goes on with it."),
    says("It was begun %(count)s times, and its worker died each time."),
    says("%(left)s calls are left of the quota; %(kept)s are kept for feeds (imports.reserve)."),
    says("The quota is back at %(at)s UTC."),
    says("The LMS calls %(count)s keys in a row taken."),
    says("What stands in this calendar cannot be read, so nobody can tell whether people have changed it."),
    says(
        "The LMS shows %(absent)s of %(all)s events no more: rather the calendar is switched off, or not shown to us. "
        "Nothing counts as deleted; if somebody has deleted them all, say --believe."
    ),
    says(
        "Most of what was written stands otherwise: if nobody has changed it, the LMS holds events in a way of its own."
    ),
    says("there is no drift %(id)s (any more): 'calbridge drift list' shows those that are"),
    says("there is no run %(run)s"),
    says("there is no batch %(batch)s"),
    says("run %(run)s does not wait any more"),
    says("run %(run)s does not wait for a yes"),
    says("run %(run)s does not wait for a yes: it is %(state)s"),
    says("run %(run)s does not wait for a yes: it is %(state)s, and its file is not kept (any more)"),
    says("run %(run)s does not wait to be resumed: it is %(state)s"),
    says("run %(run)s does not go on: it is %(state)s"),
    says("queued"),
    says("running"),
    says("paused"),
    says("done"),
    says("held"),
    says("left"),
    says("failed"),
    says("cancelled"),
    says("previewed"),
    says("expired"),
    says("run %(run)s had nothing refused"),
    says("only an import is tried again"),
    says("run %(run)s was taken back already, by run %(by)s"),
    says("run %(run)s left nothing to do"),
    says("no import called '%(source)s' has ever written into %(calendar)s"),
    says("batch %(batch)s has ended"),
    says("batch %(batch)s was overtaken by a newer file of '%(source)s'"),
    says("batch %(batch)s was overtaken by a newer file"),
    says("nothing of batch %(batch)s waits for a yes"),
    says("batch %(batch)s has done nothing, or was taken back already"),
    says("'%(pattern)s' is an empty pattern: write for example title:Lecture*"),
    says("'%(text)s' is no rename: write pattern=new title, for example BIO101*=Biology ({})"),
    says("the window is empty: 'to' (%(last)s) has to come after 'from' (%(first)s)"),
    says("'%(text)s' is no date: write it as 2026-09-01 (or a time as 2026-09-01T08:00)"),
    says("'%(name)s' lies too far away: %(text)s"),
    says("an event has to be missing at least once before it is deleted"),
)
