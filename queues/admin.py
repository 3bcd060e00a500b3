# Django looks for admins here; each page is a module of queues/pages.
from queues.pages import dead_letters as dead_letters
from queues.pages import outbox as outbox
from queues.pages import redrives as redrives
