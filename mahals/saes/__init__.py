"""What do the latents of a sparse autoencoder read in states, and how are they held at values?"""

from mahals.saes.autoencoder import Activation, Sae, decode, encode
from mahals.saes.clamping import Clamp, clamp
from mahals.saes.files import read_sae, write_sae

__all__ = ["Activation", "Clamp", "Sae", "clamp", "decode", "encode", "read_sae", "write_sae"]
