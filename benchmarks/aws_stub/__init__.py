"""A fast stand-in for SQS and SES that fails on command and writes down every email it accepts.

It is one process with no dependencies. The file of acceptances, not our database, is the judge of a soak:
one JSON line an email, written before SES answers.
"""
