"""What every config has: fields with checked types, rules that must hold, and copies with changes."""

import dataclasses
import types
import typing


def _matches(value: object, annotation: object) -> bool:
    """Whether a value has the annotated type; an int passes for a float, a bool never passes for a number."""
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return any(_matches(value, option) for option in typing.get_args(annotation))
    if origin is tuple:
        options = typing.get_args(annotation)
        if not isinstance(value, tuple):
            return False
        if len(options) == 2 and options[1] is Ellipsis:
            return all(_matches(item, options[0]) for item in value)
        return len(value) == len(options) and all(map(_matches, value, options))
    if origin is not None:
        return isinstance(value, origin)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


class Config:
    """Base of every config: checks each field's type, then the class's own `rules`."""

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if not _matches(value, hints[spec.name]):
                kind = getattr(spec.type, "__name__", spec.type)
                raise ValueError(
                    f"{type(self).__name__}.{spec.name} must be of type {kind}. "
                    f"Received: {value!r} ({type(value).__name__})"
                )
        for rule, holds in self.rules().items():
            if not holds:
                raise ValueError(f"{type(self).__name__}: {rule}. Received: {self}")

    def rules(self) -> dict[str, bool]:
        """Sentences that must hold, each with whether it does."""
        return {}

    def replace(self, **changes) -> typing.Self:
        """A copy with some fields changed.

        Raises:
            ValueError: if a field does not exist; the message lists the ones that do.
        """
        known = [spec.name for spec in dataclasses.fields(self)]
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(unknown)}. Fields: {', '.join(known)}")
        return dataclasses.replace(self, **changes)

    def flat(self) -> dict[str, object]:
        """All settings as one flat dict with dotted names, e.g. `{"model.dropout": 0.2}`."""
        flat = {}
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, Config):
                flat |= {f"{spec.name}.{name}": leaf for name, leaf in value.flat().items()}
            else:
                flat[spec.name] = value
        return flat
