"""A self-hosted WhatsApp support desk: flows, model answers, hand-over to a person, nothing lost."""

from typing import Final

PACKAGE: Final = "whatsapp-support-desk"
"""Its name where it is installed; what is installed under it knows the version."""
