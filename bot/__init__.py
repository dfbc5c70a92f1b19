"""A self-hosted WhatsApp support desk: flows, model answers, hand-over to a person, nothing lost."""
