"""Text: vocabularies, normalization, phones, pronouncing dictionaries, sentences."""
