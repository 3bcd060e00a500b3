"""The same work done by others: each module is one peer, written as its own documentation shows.

The environment says where: AWS_ENDPOINT_URL, PEER_QUEUE, PEER_CONCURRENCY, PEER_SES. Peers whose messages have an
envelope of their own put them into the queue themselves: ``python -m benchmarks.peers.celery_app FIRST COUNT``.
"""
