"""How gunicorn serves the web: read by ``gunicorn notifier.wsgi`` from where it is started.

Options on the command line win. ``WEB_CONCURRENCY`` sets the number of workers where the cores are not all ours.
"""

import os
from pathlib import Path

# Behind a proxy on the same machine. A container says --bind 0.0.0.0:8000; systemd hands its socket over instead.
bind = "127.0.0.1:8000"

# Python uses one core a process; one more is at work while another waits for the disk.
workers = int(os.environ.get("WEB_CONCURRENCY") or len(os.sched_getaffinity(0)) + 1)

# A page waits for the database most of its time. Each thread keeps a connection to it: workers × threads together.
worker_class = "gthread"
threads = 4

# A worker that hangs for so long is killed. The slowest page asks SES, which is given 13 s at most.
timeout = 30

# What a request may still take after SIGTERM; whoever stops us must wait longer (systemd 30 s, containers 35 s).
graceful_timeout = 25

# Longer than the proxy keeps an idle connection (AWS's load balancer 60 s): else it sends into one that just closed.
keepalive = 75

# New workers now and then, not all at once: what leaks slowly never matters.
max_requests = 10_000
max_requests_jitter = 1_000

# The heartbeat is a file; on a busy disk a worker would seem dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # gunicorn makes its own file there

# No access log: addresses of pages hold keys of orders and addresses of customers. With LOG_FORMAT=json the log has a
# line for each request, by route.
accesslog = None

# Nobody steers it but by signals, and its home may not be writable.
control_socket_disable = True
