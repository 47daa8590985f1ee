"""How to guess: encodings of architectures, and models that predict a score from them."""
