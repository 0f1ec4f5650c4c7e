"""Imports what neonize imports and a session hardly ever uses when it is used first, and not before.

Measured with neonize 0.5.2: its import takes 36 MB of anonymous memory, and 13 without link previews, HTTP clients,
image and phone number libraries, and the classes of protobuf messages that nobody asks for. Nothing is lost: a
placeholder stands for each, and its first use imports the real thing. Surprising: the placeholders are in
`sys.modules` only while neonize is imported; afterwards an `import requests` of anybody is the real one.
"""

import importlib
import importlib.machinery
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Self

UNUSED = (
    "bs4",
    "concurrent.futures.process",
    "google.protobuf.internal.python_message",  # protobuf in pure Python; the C one does the work
    "httpx",
    "linkpreview",
    "magic",
    "neonize.ext",
    "neonize.proto.waConsumerApplication",
    "neonize.proto.waMsgApplication",
    "neonize.utils.sticker",
    "phonenumbers",
    "pickle",
    "PIL",
    "requests",
    "segno",
    "tqdm",
    "zipfile",
)
"""What neonize imports for link previews, files by URL, stickers, thumbnails, vCards, rich messages and QR codes on terminals."""

SERVERS = ("gzip", "http.server", "prometheus_client.asgi", "socketserver", "urllib.error", "urllib.request", "wsgiref")
"""What prometheus_client imports to serve or push metrics by itself: 2.7 of its 3.2 MB."""

HELPERS = ("ast", "typing_extensions")
"""What asyncio's and msgspec's own imports have for rare cases: signatures of C functions, and older Pythons."""


class _Later:
    """Stands for an attribute of a module: kept as a name while neonize is imported, looked up when it is used."""

    __slots__ = ("_module", "_path")

    def __init__(self, module: "_Placeholder", path: str) -> None:
        self._module = module
        self._path = path

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the module holds
        if self._module.waits:
            if name.startswith("__"):
                raise AttributeError(name)
            return _Later(self._module, f"{self._path}.{name}")
        return getattr(self._real(), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  the same
        return self._real()(*arguments, **options)

    def __instancecheck__(self, instance: object) -> bool:
        return self._module.imported and isinstance(instance, self._real())  # before, nothing can be one

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[type, ...]:
        return (type(repr(self), (_Hollow,), {}) if self._module.waits else self._real(),)

    def __or__(self, _other: object) -> "_Later":
        return self  # `Image | None` in an annotation

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"<later: {self._module.__name__}.{self._path}>"

    def is_of(self, module: "_Placeholder") -> bool:
        """Whether it was looked up in `module`."""
        return self._module is module

    def _real(self) -> Any:  # noqa: ANN401  the same
        if self._module.waits:
            raise ImportError(f"{self!r} is used while it is imported lazily; take {self._module.__name__} out of lean.UNUSED")
        found = importlib.import_module(self._module.__name__)
        for name in self._path.split("."):
            found = getattr(found, name) if hasattr(found, name) else importlib.import_module(f"{found.__name__}.{name}")
        return found


class _Hollow:
    """A base class that was never imported: the class that was made of it is there, and cannot be used."""

    def __new__(cls, *_arguments: object, **_options: object) -> Self:
        """Say why not."""
        base = next(each for each in cls.__mro__ if _Hollow in each.__bases__)
        raise ImportError(f"{cls.__name__} was made while its base {base.__name__} was imported lazily; take that out of lean's list")


class _Placeholder(ModuleType):
    """Stands for a module that is not imported yet; `waits` while neonize is imported."""

    waits = True

    @property
    def imported(self) -> bool:
        """Whether anybody has the real module."""
        return not self.waits and self.__name__ in sys.modules

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  the same
        if not self.waits:
            return getattr(importlib.import_module(self.__name__), name)
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self, name)


class _Finder:
    """Gives placeholders for some names to imports of one thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()
        self.given: list[_Placeholder] = []

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if threading.get_ident() != self._thread or not any(name == each or name.startswith(f"{each}.") for each in self._names):
            return None
        loader: Any = self  # by its methods, not by its class: importlib.abc would cost 0.5 MB
        return importlib.machinery.ModuleSpec(name, loader, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        placeholder = _Placeholder(spec.name)
        self.given.append(placeholder)
        return placeholder

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


@contextmanager
def imports() -> Iterator[None]:
    """While open, neonize can be imported at a third of its price: `placeholders` for UNUSED, and messages at first use."""
    with placeholders(UNUSED), _messages_at_first_use():
        yield


@contextmanager
def placeholders(names: Sequence[str]) -> Iterator[None]:
    """While open, this thread's imports of `names`, and of what is in them, give placeholders.

    Modules that are imported already stay real. A placeholder can be called, asked for attributes, subclassed and be
    the type of `isinstance`; it cannot stand in an `except` clause, and a class that is derived from it while this is
    open can never be used.
    """
    finder = _Finder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for placeholder in finder.given:
            placeholder.waits = False
            if sys.modules.get(placeholder.__name__) is placeholder:
                del sys.modules[placeholder.__name__]
            _forget(placeholder)


def _forget(placeholder: _Placeholder) -> None:
    """Take the placeholder out of its real parent, and what the parent's own `__getattr__` found in it: it looks again."""
    parent = placeholder.__name__.rpartition(".")[0]
    attributes = vars(sys.modules[parent]) if parent in sys.modules else {}
    looks_again = "__getattr__" in attributes
    for key, value in list(attributes.items()):
        if value is placeholder or (looks_again and isinstance(value, _Later) and value.is_of(placeholder)):
            del attributes[key]


@contextmanager
def _messages_at_first_use() -> Iterator[None]:
    """Generated protobuf modules register their file at once, and make the class of a message when it is asked for."""
    from google.protobuf.internal import builder  # noqa: PLC0415  belongs to neonize, which may be missing

    descriptors, messages = builder.BuildMessageAndEnumDescriptors, builder.BuildTopDescriptorsAndMessages
    builder.BuildMessageAndEnumDescriptors = lambda _file, _module: None
    builder.BuildTopDescriptorsAndMessages = _promise_messages
    try:
        yield
    finally:
        builder.BuildMessageAndEnumDescriptors, builder.BuildTopDescriptorsAndMessages = descriptors, messages


def _promise_messages(file: Any, module_name: str, module: dict[str, Any]) -> None:  # noqa: ANN401  protobuf
    """`builder.BuildTopDescriptorsAndMessages`, but a message's class comes with the first look at it."""
    from google.protobuf.internal import builder, enum_type_wrapper  # noqa: PLC0415  the same

    make: Callable[[str, Any, str], Any] = builder._BuildMessage  # noqa: SLF001  the only maker of a generated module's classes
    for name, enum in file.enum_types_by_name.items():
        module[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        module.update((value.name, value.number) for value in enum.values)

    def look_up(name: str) -> Any:  # noqa: ANN401  protobuf
        if (message := file.message_types_by_name.get(name)) is None:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        module[name] = made = make(module_name, message, "")
        return made

    module["__getattr__"] = look_up
