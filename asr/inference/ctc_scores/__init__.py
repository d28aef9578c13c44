"""Decode and align the CTC scores of any network: what users of other toolkits bring."""
