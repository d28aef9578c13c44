"""Network parts: recurrent cells, encoders, label RNNs, output layers."""
