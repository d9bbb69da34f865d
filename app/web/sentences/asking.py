"""What our own pages answer to whoever asks them for something (app.web), and what Werkzeug does."""

from __future__ import annotations

from app.web.sentences.sentence import says

SENTENCES = (
    says("You may look at imports, and not take them back."),
    says("You may look at imports, and not make any."),
    says("You may look at subscriptions, and not change them."),
    says("Choose a calendar file, or paste the address of one."),
    says("Too many wait for servers elsewhere just now: try again in a moment."),
    says("'%(who)s' may not write into %(calendar)s."),
    says("'%(who)s' may not see this subscription."),
    says("'%(who)s' may not see routed imports: that takes leave for all of them."),
    says("'%(who)s' may not approve routed imports: that takes leave for all of them."),
    says("'%(who)s' may not cancel routed imports: that takes leave for all of them."),
    says("'%(who)s' may not undo routed imports: that takes leave for all of them."),
    says("'%(who)s' may not see who did what: that takes leave for all of them."),
    says("'%(who)s' may not do this."),
    says("at the machine"),
    says(
        "This needs an API token: send it as 'Authorization: Bearer …', or in the form's token field. "
        "People sign in at /sign-in."
    ),
    says("From elsewhere this needs an API token: make one with 'calbridge token add NAME'."),
    says("This was sent by a page of another site, and was refused."),
    says("'policy' is one of %(words)s, not '%(name)s'"),
    says("'%(field)s' is one of %(words)s, not '%(name)s'"),
    says("'%(name)s' is either true or false, not '%(text)s'"),
    says("there is no field '%(name)s'; there are: %(names)s"),
    says("the form has no file: send the calendar as the part called 'file'"),
    says("the source's name has to be printable and of at most 100 letters"),
    says("Nothing was sent: paste an address, or choose a file."),
    says("Several calendars are called so: %(some)s. Write which one."),
    says("A token needs a name, of %(most)s letters at most."),
    says("Make an administrator first: from the first token on, these pages ask everybody to sign in."),
    says("Choose a calendar."),
    says("The file is larger than the %(most)s bytes that this calbridge takes (imports.max_bytes)."),
    says("Something went wrong."),
    says("There were too many wrong passwords. Wait a few minutes, and try again."),
    says(
        "The requested URL was not found on the server. If you entered the URL manually please check your spelling "
        "and try again."
    ),
    says("The method is not allowed for the requested URL."),
    says("The browser (or proxy) sent a request that this server could not understand."),
    says(
        "The server encountered an internal error and was unable to complete your request. Either the server is "
        "overloaded or there is an error in the application."
    ),
    says("The CSRF token is missing."),
    says("The CSRF token is invalid."),
    says("The CSRF session token is missing."),
    says("The CSRF tokens do not match."),
    says("there is no token called '%(name)s'"),
    says("there is a token called '%(name)s' already: revoke it first, or choose another name"),
    says("there is no administrator called '%(name)s'"),
    says("nobody has linked '%(calendar)s'"),
)
