"""/usage, /context, /compact: what this session has used, and how much fits still."""

from __future__ import annotations

from gateway.amounts import cost, estimated, line, requests, tokens
from gateway.calls import Call, Reply
from gateway.commands.command import alone, session_of
from gateway.commands.quote import titled
from gateway.errors import Refused
from gateway.manager import NEAR_LIMIT, SessionManager
from gateway.reports import UsageSummary

BAR = 20  # characters


async def usage(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    last = await manager.last_turn_usage(session.id)
    whole = await manager.session_usage(session.id)
    lines = [f"- last answer: {_used(last)}"] if last is not None else []
    lines.append(f"- this session: {_used(whole)} · {requests(whole.requests)}")
    return Reply(text="\n".join([f"{titled(session)} has used:", "", *lines]))


def _used(usage: UsageSummary) -> str:
    rough = estimated(usage)
    return line(usage) + (f" · {rough}" if rough else "")


async def context(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    found = await manager.context_usage(session.id)
    text = (
        f"`{bar(found.percent)}` {found.percent:.1f} %\n\n"
        f"{tokens(found.used_tokens)} of {tokens(found.max_tokens)} tokens are used in {titled(session)}."
    )
    if found.percent >= 100 * NEAR_LIMIT:
        text += " It is nearly full: /compact makes room."
    return Reply(text=text)


def bar(percent: float) -> str:
    """A bar of BAR characters; anything above nothing shows, and only full looks full."""
    full = int(min(percent, 100.0) * BAR / 100)
    if percent > 0:
        full = max(full, 1)
    return "█" * full + "░" * (BAR - full)


async def compact(manager: SessionManager, call: Call) -> Reply:
    alone(call, "It summarises all that was said so far.")
    session = await session_of(manager, call)
    if session.is_closed:
        raise Refused("There is nothing to compact: this session is closed.")
    before = await manager.session_usage(session.id)
    done = await manager.compact(session.id, identity=call.identity.id if call.identity else None)
    spent = difference(await manager.session_usage(session.id), before)
    after = f"about {tokens(done.after)}" if done.after is not None else "not known yet"
    return Reply(
        text=(
            f"Compacted: {tokens(done.before)} tokens before, {after} after. "
            f"The transcript stays whole.\n\nThe summary cost {cost(spent)} "
            f"({tokens(spent.total_input_tokens)} in, {tokens(spent.total_output_tokens)} out)."
        )
    )


def difference(after: UsageSummary, before: UsageSummary) -> UsageSummary:
    """What was booked between two looks at the same sum."""
    new, old = after.tokens, before.tokens
    return UsageSummary(
        tokens=type(new)(
            new.uncached - old.uncached,
            new.read - old.read,
            new.write_5m - old.write_5m,
            new.write_1h - old.write_1h,
            new.output - old.output,
        ),
        cost=after.cost - before.cost,
        requests=after.requests - before.requests,
        turns=after.turns - before.turns,
        unpriced=after.unpriced - before.unpriced,
        estimated=after.estimated - before.estimated,
        estimated_cost=after.estimated_cost - before.estimated_cost,
    )
