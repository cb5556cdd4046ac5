"""Labels as attributes, for templates: `labels.prefect.resource.name` in place of `labels["prefect.resource.name"]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class LabelDiver:
    """Labels whose names are split at dots. `str(diver.hello.world)` is the value of `hello.world`; iterating gives labels and values."""

    def __init__(self, labels: Mapping[str, str], at: str = "") -> None:
        self._labels = labels
        self._at = at

    def __getattr__(self, name: str) -> LabelDiver:
        at = f"{self._at}.{name}" if self._at else name
        if name.startswith("_") or not any(label == at or label.startswith(f"{at}.") for label in self._labels):
            raise AttributeError(f"There is no label that is, or begins with, {at!r}.")
        return LabelDiver(self._labels, at)

    def __str__(self) -> str:
        return self._labels.get(self._at, "")

    def __repr__(self) -> str:
        return f"LabelDiver({dict(self)!r})"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(label, value) for label, value in self._labels.items() if f"{label}.".startswith(f"{self._at}." if self._at else "")])


class Labelled:
    """Something with labels, `root`; iterating gives labels and values."""

    root: dict[str, str]

    def get(self, label: str, default: str | None = None) -> str | None:
        """Return the value of a label."""
        return self.root.get(label, default)

    def keys(self) -> Iterable[str]:
        """Return the labels."""
        return self.root.keys()

    def items(self) -> Iterable[tuple[str, str]]:
        """Return labels and values."""
        return self.root.items()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.root.items())

    def __getitem__(self, label: str) -> str:
        return self.root[label]

    def __contains__(self, label: str) -> bool:
        return label in self.root

    def has_all_labels(self, labels: Mapping[str, str]) -> bool:
        """Say whether every one of `labels` is here with that value."""
        return all(self.root.get(label) == value for label, value in labels.items())

    def as_label_value_array(self) -> list[dict[str, str]]:
        """Return the labels as `{"label": …, "value": …}`."""
        return [{"label": label, "value": value} for label, value in self.root.items()]

    @property
    def labels(self) -> LabelDiver:
        """The labels as attributes."""
        return LabelDiver(self.root)
