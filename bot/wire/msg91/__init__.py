"""MSG91's WhatsApp wire: callbacks to events, messages to requests, answers to outcomes. Bytes and values, no I/O."""
