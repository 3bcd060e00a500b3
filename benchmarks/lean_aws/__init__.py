"""A stand-in for SQS and SES that answers fast: it is measured against, and must not be what limits.

One process on one core carries several thousand emails a second. It knows no faults and no rules (``aws_stub`` has
those); it keeps the time that AWS would take, counts calls, and counts each email by the number of its order.
"""
