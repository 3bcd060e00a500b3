"""SES's SMTP interface, as aiosmtpd plays it: STARTTLS, a password, SES's answers, and connections that break."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.aws.scripted_server import certified

HOST = "127.0.0.1"
USER, PASSWORD = "AKIDSMTP", "smtp-secret"

Answer = Callable[["Server"], str | None]


class Server:
    """Listens on a port of its own. ``answers`` maps a command to what answers it instead, or breaks it."""

    def __init__(self, folder: Path, *, offers_tls: bool = True) -> None:
        self.accepted: list[bytes] = []
        self.senders: list[str] = []
        self.recipients: list[str] = []
        self.answers: dict[str, Answer] = {}
        # Of each connection what it was asked, without data and password.
        self.connections: list[list[str]] = []
        context, self.certificate = certified(folder)
        self._tls = context if offers_tls else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End it with all its connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut_connections(self) -> None:
        """Close the connections, as a server that has waited for long enough."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def accept(self, envelope: Envelope) -> str:
        """Take the email; returns SES's answer, with its id."""
        assert isinstance(envelope.content, bytes)
        self.accepted.append(envelope.content)
        self.senders.append(envelope.mail_from or "")
        self.recipients.extend(envelope.rcpt_tos)
        return f"250 Ok 0102{len(self.accepted):012}-0000-000000"

    async def _listen(self) -> asyncio.Server:
        self.open: list[_Conversation] = []
        return await self._loop.create_server(self._converse, HOST, 0)

    def _converse(self) -> _Conversation:
        conversation = _Conversation(self, self._tls, loop=self._loop)
        self.open.append(conversation)
        self.connections.append(conversation.asked)
        return conversation

    async def _cut(self) -> None:
        for conversation in self.open:
            conversation.cut()
        self.open.clear()
        await asyncio.sleep(0)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Conversation(SMTP):
    """One connection."""

    def __init__(
        self, server: Server, tls: ssl.SSLContext | None, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.server_of = server
        self.asked: list[str] = []
        super().__init__(
            self,
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=self.authenticate,
            # Without TLS it takes a password in the clear, if anybody sends one.
            auth_required=tls is not None,
            auth_require_tls=tls is not None,
            loop=loop,
        )

    def cut(self) -> None:
        """Close the connection without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, auth_data: Any
    ) -> AuthResult:
        """Check a log-in, as aiosmtpd asks for it."""
        self.asked.append("AUTH")
        is_good = auth_data == LoginPassword(USER.encode(), PASSWORD.encode())
        text = None if is_good else "535 Authentication Credentials Invalid"
        return AuthResult(success=is_good, handled=False, message=text)

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.asked.append("EHLO")
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self._answer("MAIL") or "250 Ok"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._answer("RCPT") or "250 Ok"

    async def smtp_DATA(self, argument: str) -> None:
        """``BODY`` is answered when the data may begin, ``DATA`` when it has ended."""
        if text := self._answer("BODY"):
            await self.push(text)
        elif self.transport is not None and not self.transport.is_closing():
            await super().smtp_DATA(argument)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        return self._answer("DATA") or self.server_of.accept(envelope)

    async def handle_exception(self, error: Exception) -> str:
        """Of a connection that a test has cut."""
        return "451 Temporary service failure"

    def _answer(self, command: str) -> str | None:
        self.asked.append(command)
        answer = self.server_of.answers.get(command)
        return answer(self.server_of) if answer else None
