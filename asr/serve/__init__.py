"""A server of one recognizer over HTTP, as OpenAI's for transcriptions, and its page."""
