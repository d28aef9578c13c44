"""Network parts: recurrent layers and the encoder built from them."""
