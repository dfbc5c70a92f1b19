"""The sandbox's parts under one name, and how a handler finds them."""

import asyncio

import aiohttp
from aiohttp import web

from bot.sandbox.behaviour import Behaviours
from bot.sandbox.callbacks import Webhook
from bot.sandbox.phones import Phones
from bot.sandbox.records import Records, Sent
from bot.sandbox.reports import Due, Reports
from bot.sandbox.sends import Order
from bot.sandbox.settings import SandboxSettings


class Box:
    """What all handlers share; built when the application starts."""

    def __init__(self, settings: SandboxSettings, session: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.records = Records(settings.kept)
        self.behaviours = Behaviours()
        self.phones = Phones()
        self.webhook = Webhook(settings, session)
        self.reports = Reports(settings, self.records, self.behaviours, self.webhook, self._reported)
        self.released = asyncio.Event()
        """Set when calls that hang must end: at a reset and at the end."""

    def accept(self, order: Order, request_id: str) -> Sent:
        """Keep a message, plan its reports, show it on open phones."""
        message = self.records.keep(order, request_id)
        self.reports.accepted(message)
        self.phones.tell(message.to, "message", message)
        return message

    def reset(self) -> None:
        """Back to the state of a fresh start; calls that hang are let go."""
        self.records.clear()
        self.behaviours.clear()
        self.reports.clear()
        self.release()
        self.phones.tell_all("reset", {})

    def release(self) -> None:
        """Let go the calls that hang; later ones wait for the next release."""
        self.released.set()
        self.released = asyncio.Event()

    def _reported(self, due: Due) -> None:
        self.phones.tell(due.message.to, "status", {"id": due.message.id, "status": due.status})


BOX = web.AppKey("BOX", Box)
