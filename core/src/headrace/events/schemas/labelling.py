"""Labels of resources."""

from headrace.model.labelling import LabelDiver, Labelled

__all__ = ["LabelDiver", "Labelled"]
