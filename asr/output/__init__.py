"""Transcripts, their file formats, and pictures of results."""
