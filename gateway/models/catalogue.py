"""Which models can be asked: the configured providers' and the offline demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from gateway.errors import Refused
from gateway.models.connection import CONNECT, SILENCE, Connection, ProviderConfig
from gateway.models.demo import REF as DEMO
from gateway.models.demo import DemoModel
from gateway.models.provider import ProviderModel
from gateway.models.transcription import KINDS as HEARING
from gateway.models.transcription import Transcriber
from gateway.protocols.hearing import Hearing
from gateway.protocols.model import Model
from gateway.vendors import KINDS, VENDORS

__all__ = ["DEMO", "Catalogue", "ProviderConfig"]


class Catalogue:
    """The models by their ref, `provider:model`.

    *offered*: what people may choose besides the default and the fallbacks.
    *silence* in seconds is the longest time a provider may say nothing; *connect* to reach it. Without any
    provider that can be asked, the default is the demo.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, ProviderConfig],
        default: str,
        fallbacks: Sequence[str] = (),
        offered: Sequence[str] = (),
        connect: float = CONNECT,
        silence: float = SILENCE,
    ) -> None:
        self._connect = connect
        self._silence = silence
        self._connections: dict[str, Connection] = {}
        self._models: dict[str, Model] = {}
        self._retired: list[Connection] = []
        self._take(providers, default, fallbacks, offered)

    @property
    def default(self) -> str:
        """The ref of the model that answers when none was chosen."""
        return self._default

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return self._fallbacks

    @property
    def allowed(self) -> tuple[str, ...]:
        """The refs of what people may choose, the default one first; only what can be asked."""
        asked = (self._default, self._asked_default, *self._fallbacks, *self._offered)
        return tuple(ref for ref in dict.fromkeys(asked) if self._askable(ref))

    def swap(self, ref: str) -> None:
        """Another default, until the next `replace`; raises Refused as `get`."""
        self.get(ref)
        self._default = ref

    def get(self, ref: str) -> Model:
        """The model of a ref; raises Refused with the remedy when there is no such provider or no key."""
        if ref not in self._models:
            self._models[ref] = self._make(ref)
        return self._models[ref]

    def chain(self, ref: str | None = None) -> list[Model]:
        """The chosen model or the default one, then the fallbacks, none twice; raises Refused as `get`."""
        return [self.get(each) for each in dict.fromkeys((ref or self._default, *self._fallbacks))]

    @property
    def kinds(self) -> Mapping[str, str]:
        """What each configured provider speaks, by its name."""
        return {name: connection.config.kind for name, connection in self._connections.items()}

    def served_by(self, kind: str) -> tuple[str, ...]:
        """The names of the providers whose server is that vendor's own; any other may be somebody else's."""
        own = urlsplit(VENDORS[kind].url).hostname
        configs = {name: connection.config for name, connection in self._connections.items()}
        return tuple(
            name for name, each in configs.items() if each.kind == kind and urlsplit(each.url).hostname == own
        )

    def hearing(self, provider: str, model: str, language: str = "") -> Hearing:
        """What writes down speech; raises Refused as `get`, and for a provider that cannot."""
        config = self._asked(provider).config
        if config.kind not in HEARING:
            raise Refused(f"providers.{provider} does not transcribe: its kind must be {', '.join(HEARING)}")
        return Transcriber(connection=self._connections[provider], model=model, language=language)

    async def warm(self) -> None:
        """Import what the default model's and the fallbacks' first request needs, in a thread."""
        for model in self.chain():
            if model.provider in self._connections:
                await self._connections[model.provider].warm()

    async def replace(
        self,
        *,
        providers: Mapping[str, ProviderConfig] | None = None,
        default: str | None = None,
        fallbacks: Sequence[str] | None = None,
        offered: Sequence[str] | None = None,
    ) -> None:
        """Change what is given, for the requests after this; answers being made are made to the end."""
        known = {name: connection.config for name, connection in self._connections.items()}
        self._take(
            known if providers is None else providers,
            self._asked_default if default is None else default,
            self._asked_fallbacks if fallbacks is None else fallbacks,
            self._offered if offered is None else offered,
        )
        for connection in self._retired:
            await connection.retire()
        self._retired = [each for each in self._retired if not each.closed]

    async def close(self) -> None:
        """Give back every connection."""
        for connection in (*self._connections.values(), *self._retired):
            await connection.close()

    def _take(
        self,
        providers: Mapping[str, ProviderConfig],
        default: str,
        fallbacks: Sequence[str],
        offered: Sequence[str],
    ) -> None:
        """A connection whose provider did not change is kept, with its open sockets."""
        before, self._connections = self._connections, {}
        for name, config in providers.items():
            known = before.get(name)
            self._connections[name] = (
                known if known is not None and known.config == config else self._open(config)
            )
        self._retired += [each for name, each in before.items() if self._connections.get(name) is not each]
        self._models = {}
        self._asked_default, self._asked_fallbacks = default, tuple(fallbacks)
        real = any(config.usable for config in providers.values())
        self._default = default if real else DEMO
        self._fallbacks = tuple(fallbacks) if real else ()
        self._offered = tuple(offered)

    def _askable(self, ref: str) -> bool:
        try:
            self.get(ref)
        except Refused:
            return False
        return True

    def _open(self, config: ProviderConfig) -> Connection:
        return Connection(config, connect=self._connect, silence=self._silence)

    def _make(self, ref: str) -> Model:
        name, colon, model = ref.partition(":")
        if not colon or not name or not model:
            raise Refused(key="model.malformed", ref=repr(ref))
        if ref == DEMO:
            return DemoModel()
        return ProviderModel(connection=self._asked(name), model=model)

    def _asked(self, name: str) -> Connection:
        connection = self._connections.get(name)
        if connection is None:
            known = ", ".join(sorted({*self._connections, "demo"}))
            raise Refused(key="model.no_provider", name=name, known=known)
        config = connection.config
        if config.kind not in KINDS:
            raise Refused(f"providers.{name}.kind is {config.kind!r}: it must be one of: {', '.join(KINDS)}")
        if not config.usable:
            raise Refused(key="model.no_key", name=name)
        return connection
