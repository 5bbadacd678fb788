"""The Python API: load a model once, then ask it for emotions.

`EmotionMusicVAE.generate` composes, `transform` moves the user's own melody,
`interpolate` goes from one emotion or melody to another, `variations` stays
near a melody, `recompose` keeps some bars of one, `compose` takes many orders
at once. Each goes through the same five stages; see `pipeline`.
"""

from emotion_musicvae.api.arcs import join as join
from emotion_musicvae.api.melody import Melody as Melody
from emotion_musicvae.api.model import EmotionMusicVAE as EmotionMusicVAE
from emotion_musicvae.api.pipeline import DRAWS_PER_OUTPUT as DRAWS_PER_OUTPUT
from emotion_musicvae.api.pipeline import Order as Order
from emotion_musicvae.api.stages import measure as measure
from emotion_musicvae.api.starts import slerp as slerp
