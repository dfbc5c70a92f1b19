"""A stand-in for MSG91 and OpenRouter, and a web phone that plays the customer: everything without an account.

It is strict where the providers are strict and misbehaves on request, so that what works here has a chance outside.
It knows the providers from their documents only and shares no code with the part of the service that talks to them.
"""
