"""Who asks over HTTP, and how much of what they may do their key lets them do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import Depends, Request

from gateway.access import enough
from gateway.keys import Scope
from gateway.roster import Actor
from gateway.types.people import OPERATOR as EVERYTHING
from gateway.types.people import Identity, Role, Viewer

Who = Role | Literal["machine"]
CALLER = "parley.caller"  # in the scope of a request
_WIDE: Mapping[Scope, int] = {"read": 0, "operate": 1, "admin": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """*identity* None: whoever has the machine, by the Unix socket or the token of [web]; else whose key it is.

    *name* is what the audit trail calls them: cli, or key:PREFIX. *role* is the person's, as it is now.
    """

    name: str = "cli"
    scope: Scope = "admin"
    role: Role = "owner"
    identity: Identity | None = None

    @property
    def actor(self) -> Actor:
        """As those know them who change people."""
        return Actor(name=self.name, role=self.role, identity=self.identity)

    @property
    def viewer(self) -> Viewer:
        """Which sessions they see: their own; admins those of groups too, whoever has the machine all."""
        if self.identity is None:
            return replace(EVERYTHING, name=self.name)
        admin = enough(self.role, "admin")
        # Without a person of their own nothing is theirs; no number of a person is 0.
        return Viewer(person=self.identity.person or 0, groups=admin, admin=admin, name=self.name)

    @property
    def only(self) -> int | None:
        """Whose things alone they see, a person's number; None: everybody's."""
        if self.identity is None or enough(self.role, "admin"):
            return None
        return self.identity.person or 0  # nobody's


OPERATOR = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a route asks for: a key of that *scope* or a wider one, of somebody who is *who* or more.

    Where that is user, everybody comes in and the handler gives each only what is theirs; machine: whoever has it.
    """

    scope: Scope = "admin"
    who: Who = "machine"

    def missing(self, caller: Caller) -> str | None:
        """Why the caller may not; None: they may."""
        if _WIDE[caller.scope] < _WIDE[self.scope]:
            made = f"parley keys add --scope {self.scope}"
            return f"This key's scope is {caller.scope}; this needs {self.scope}: {made}."
        if self.who == "machine":
            return None if caller.identity is None else "This is for whoever has the machine."
        if not enough(caller.role, self.who):
            return f"This is for {self.who}s; the key belongs to somebody who is {caller.role}."
        return None

    @property
    def whom(self) -> str:
        """Who may, in words."""
        match self.who:
            case "user":
                return "everybody"
            case "machine":
                return "whoever has the machine"
            case role:
                return f"{role}s"


async def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """As the guard has put it there."""
    found = scope[CALLER]
    assert isinstance(found, Caller)
    return found


Calling = Annotated[Caller, Depends(_caller)]
"""The parameter of a handler that wants to know who asks."""
