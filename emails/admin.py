# Django looks for admins here; each page is a module of emails/pages.
from emails.pages import notifications as notifications
from emails.pages import own_pages as own_pages
from emails.pages import ses_events as ses_events
from emails.pages import suppressions as suppressions
