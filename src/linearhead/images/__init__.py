"""Pictures → arrays, one way for every verb."""

from .decode import BLANK, Header, Source, decode, fingerprinted, probe
from .duplicates import Copies, find_copies
from .inline import data_uri, weights_uri
from .many import Batch, Look, decode_many, look_many
from .preprocessing import Preprocessing, choose_preprocessing
from .unreadable import Unreadable

__all__ = [
    "BLANK",
    "Batch",
    "Copies",
    "Header",
    "Look",
    "Preprocessing",
    "Source",
    "Unreadable",
    "choose_preprocessing",
    "data_uri",
    "decode",
    "decode_many",
    "find_copies",
    "fingerprinted",
    "look_many",
    "probe",
    "weights_uri",
]
