"""OpenRouter's chat completions as values: what to send, what an answer or a failure means, what it cost. Sans-I/O."""
