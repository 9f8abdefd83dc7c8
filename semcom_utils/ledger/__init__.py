"""x"""
from .claims import *  # noqa
from .verdicts import *  # noqa
