"""The one gate, by every door: closed unless somebody numbered is listed, and a block beats a list."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.access import IMPERSONAL, Policy, Verdict, enough, may, role_of
from gateway.types.inbound import Kind
from gateway.types.people import Sender
from gateway.types.places import Place

LISTED, OWNER, STRANGER = "100", "1", "666"
POLICY = Policy(
    allow={"telegram": frozenset({LISTED, "-100"}), "discord": frozenset({"300"})},
    owners={"telegram": frozenset({OWNER})},
)
NOBODY = Policy(allow={}, owners={})
DIRECT = Place(chat_id="5")
GROUP = Place(chat_id="-100", kind="group")
FOREIGN = Place(chat_id="-666", kind="group")
GUILD = Place(chat_id="31", kind="group", server="30")
SHARED = [GROUP, FOREIGN, GUILD, replace(GROUP, kind="thread", thread_id="7")]
SILENT = [Kind.MEMBERSHIP, Kind.MIGRATION, Kind.UNKNOWN]
ACTED_ON = [kind for kind in Kind if kind not in SILENT]
# What a stranger in a direct chat is told when he comes in by each door. A new kind belongs here too.
TOLD = {
    Kind.MESSAGE: True,
    Kind.EDIT: True,
    Kind.COMMAND: True,
    Kind.BUTTON: True,
    Kind.REACTION: True,
    Kind.MEMBERSHIP: False,
    Kind.JOB: False,
    Kind.API: False,
    Kind.MIGRATION: False,
    Kind.UNKNOWN: False,
}


def ask(user_id=STRANGER, *, name="", impersonal=False, **changes):
    sender = None if user_id is None else Sender(user_id=user_id, name=name, impersonal=impersonal)
    facts = {
        "kind": Kind.MESSAGE,
        "channel": "telegram",
        "place": DIRECT,
        "sender": sender,
        "state": "new",
        "role": None,
        "addressed": True,
        "policy": POLICY,
    }
    return may(**(facts | changes))


def refused(reason, *, tell=False):
    return Verdict(allowed=False, role=None, reason=reason, tell=tell)


def let_in(role, reason="allowed"):
    return Verdict(allowed=True, role=role, reason=reason, tell=False)


def test_every_door_has_a_deny_test():
    assert set(TOLD) == set(Kind)


@pytest.mark.parametrize("kind", TOLD)
def test_a_stranger_is_refused_by_every_door_and_told_where_he_spoke(kind):
    verdict = ask(kind=kind)
    assert not verdict.allowed
    assert verdict.role is None
    assert verdict.tell is TOLD[kind]


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("addressed", [True, False])
@pytest.mark.parametrize("place", SHARED)
def test_a_stranger_in_a_group_hears_nothing_by_any_door(kind, addressed, place):
    verdict = ask(kind=kind, place=place, addressed=addressed)
    assert (verdict.allowed, verdict.tell) == (False, False)


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("user_id", [STRANGER, LISTED])
def test_a_blocked_person_is_refused_silently_by_every_door_even_when_listed(kind, user_id):
    verdict = ask(user_id, kind=kind, state="blocked", role="user")
    assert (verdict.allowed, verdict.tell) == (False, False)


@pytest.mark.parametrize("kind", TOLD)
def test_without_a_sender_nothing_comes_in(kind):
    assert (ask(None, kind=kind).allowed, ask(None, kind=kind).tell) == (False, False)
    assert (ask("", kind=kind).allowed, ask("", kind=kind).tell) == (False, False)


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("channel", ["telegram", "discord", "http", "no-such-channel"])
def test_an_empty_policy_lets_nobody_in(kind, channel):
    assert not ask(LISTED, kind=kind, channel=channel, policy=NOBODY).allowed


@pytest.mark.parametrize("kind", SILENT)
@pytest.mark.parametrize("channel", ["telegram", "main", "job"])
@pytest.mark.parametrize("user_id", [OWNER, LISTED, STRANGER, None])
def test_what_cannot_be_read_and_who_comes_and_goes_is_never_answered(kind, channel, user_id):
    verdict = ask(user_id, kind=kind, channel=channel)
    assert (verdict.allowed, verdict.tell) == (False, False)


@pytest.mark.parametrize("kind", ACTED_ON)
def test_a_listed_person_comes_in_by_every_door(kind):
    assert ask(LISTED, kind=kind) == let_in("user")


@pytest.mark.parametrize("kind", ACTED_ON)
def test_a_person_let_in_earlier_comes_in_without_being_listed(kind):
    assert ask(STRANGER, kind=kind, state="allowed", policy=NOBODY) == let_in("user")


@pytest.mark.parametrize("role", ["user", "admin", "owner"])
def test_a_person_keeps_the_role_that_was_given(role):
    assert ask(LISTED, role=role) == let_in(role)


@pytest.mark.parametrize("state", ["new", "allowed", "blocked"])
@pytest.mark.parametrize("role", [None, "user", "admin"])
def test_an_owner_in_the_configuration_is_owner_whatever_is_stored(state, role):
    assert ask(OWNER, state=state, role=role) == let_in("owner", "owner")


def test_an_owner_need_not_be_allowed_as_well():
    policy = Policy(allow={}, owners={"telegram": frozenset({OWNER})})
    assert ask(OWNER, policy=policy).allowed


def test_a_stored_role_alone_opens_nothing():
    assert ask(STRANGER, role="owner") == refused("not allowed", tell=True)


def test_a_list_holds_for_its_own_channel_only():
    assert not ask("300").allowed
    assert not ask(LISTED, channel="discord").allowed
    assert ask("300", channel="discord").allowed


def test_a_name_taken_over_from_an_allowed_person_opens_nothing():
    assert not ask(STRANGER, name=LISTED).allowed
    assert not ask(STRANGER, name="@alice").allowed


@pytest.mark.parametrize("entry", ["@alice", "alice", "*", "", "-100", "１００"])
@pytest.mark.parametrize("place", [DIRECT, GROUP])
def test_only_numbers_in_a_list_let_anybody_in(entry, place):
    policy = Policy(
        allow={"telegram": frozenset({entry})},
        owners={"telegram": frozenset({entry})},
    )
    assert not ask(entry, name=entry, policy=policy, place=place).allowed


@pytest.mark.parametrize("user_id", sorted(IMPERSONAL))
@pytest.mark.parametrize("state", ["new", "allowed"])
@pytest.mark.parametrize("place", [DIRECT, GROUP])
def test_an_account_that_stands_for_nobody_is_refused_silently_even_when_listed(user_id, state, place):
    everything = {"telegram": frozenset({user_id})}
    policy = Policy(allow=everything, owners=everything)
    assert ask(user_id, state=state, place=place, policy=policy) == refused("impersonal sender")


def test_the_accounts_that_stand_for_nobody_are_the_platforms_three():
    assert {"1087968824", "136817688", "777000"} == IMPERSONAL


@pytest.mark.parametrize("user_id", [LISTED, OWNER])
def test_a_sender_marked_impersonal_is_refused_silently_whatever_his_number(user_id):
    assert ask(user_id, impersonal=True, state="allowed") == refused("impersonal sender")


@pytest.mark.parametrize("user_id", [LISTED, OWNER])
@pytest.mark.parametrize("place", [GROUP, Place(chat_id="5", kind="client"), Place(chat_id="5", kind="job")])
def test_outside_a_direct_chat_we_must_be_addressed(user_id, place):
    assert ask(user_id, place=place, addressed=True).allowed
    unheard = ask(user_id, place=place, addressed=False)
    assert replace(unheard, overheard=False) == refused("not addressed")


def test_in_a_direct_chat_every_word_is_addressed():
    assert ask(LISTED, addressed=False).allowed


@pytest.mark.parametrize("channel", ["main", "job"])
@pytest.mark.parametrize("kind", ACTED_ON)
@pytest.mark.parametrize("user_id", [None, "", "me"])
@pytest.mark.parametrize("state", ["new", "allowed"])
def test_what_comes_from_this_machine_is_the_owners(channel, kind, user_id, state):
    verdict = ask(user_id, channel=channel, kind=kind, state=state, policy=NOBODY, addressed=False)
    assert verdict == let_in("owner", "local")


@pytest.mark.parametrize("channel", ["main", "job"])
def test_a_job_of_somebody_with_a_role_runs_with_that_role(channel):
    assert ask("100", channel=channel, kind=Kind.JOB, role="user") == let_in("user", "local")


def test_a_block_stops_a_persons_jobs_but_not_the_terminal():
    assert ask(LISTED, channel="job", kind=Kind.JOB, state="blocked") == refused("blocked")
    assert ask(None, channel="main", state="blocked").allowed


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.API])
def test_a_kind_from_a_platform_gains_nothing_by_being_called_local(kind):
    assert not ask(STRANGER, kind=kind).allowed
    assert not ask(STRANGER, kind=kind, channel="http").allowed


# -- groups ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ACTED_ON)
@pytest.mark.parametrize("place", SHARED)
def test_in_a_group_that_is_not_listed_nobody_but_an_owner_counts(kind, place):
    policy = replace(POLICY, allow={"telegram": frozenset({LISTED})})
    assert ask(LISTED, kind=kind, place=place, policy=policy) == refused("group not allowed")
    assert ask(STRANGER, kind=kind, place=place, policy=policy, state="allowed", role="admin") == refused(
        "group not allowed"
    )
    assert ask(OWNER, kind=kind, place=place, policy=policy) == let_in("owner", "owner")


@pytest.mark.parametrize("listed", ["-100", "30"])
def test_a_group_is_listed_by_its_own_id_or_its_servers_and_its_members_by_theirs(listed):
    group = GROUP if listed == "-100" else GUILD
    policy = Policy(allow={"telegram": frozenset({LISTED, listed})}, owners={})
    assert ask(LISTED, place=group, policy=policy) == let_in("user")
    assert ask(LISTED, place=replace(group, kind="thread", thread_id="9"), policy=policy) == let_in("user")
    assert ask(STRANGER, place=group, policy=policy) == refused("not allowed")
    assert ask(STRANGER, place=group, policy=policy, state="allowed") == let_in("user")


def test_a_listed_group_lets_its_members_into_no_direct_chat():
    assert not ask(STRANGER, place=DIRECT).allowed
    assert not ask("-100", place=DIRECT).allowed  # nor does the group's own id


def test_a_group_let_in_by_hand_is_as_good_as_a_listed_one_and_a_blocked_one_is_closed():
    assert ask(LISTED, place=FOREIGN, chat="allowed") == let_in("user")
    assert ask(STRANGER, place=FOREIGN, chat="allowed") == refused("not allowed")
    assert ask(LISTED, place=GROUP, chat="blocked") == refused("group not allowed")
    assert ask(OWNER, place=GROUP, chat="blocked").allowed


@pytest.mark.parametrize("user_id", sorted(IMPERSONAL))
def test_an_anonymous_admin_or_a_channel_post_is_nobody_in_a_listed_group_too(user_id):
    """S4."""
    assert ask(user_id, place=GROUP, state="allowed") == refused("impersonal sender")
    assert ask(LISTED, place=GROUP, impersonal=True) == refused("impersonal sender")


def test_what_serves_as_context_was_said_unaddressed_in_a_group_of_ours():
    assert ask(LISTED, place=GROUP, addressed=False).overheard
    assert ask(STRANGER, place=GROUP, addressed=False).overheard
    assert not ask(STRANGER, place=GROUP, addressed=False, state="blocked").overheard
    assert not ask(STRANGER, place=GROUP, addressed=True).overheard
    assert not ask(STRANGER, place=FOREIGN, addressed=False).overheard
    assert not ask(OWNER, place=FOREIGN, addressed=False).overheard
    for kind in set(Kind) - {Kind.MESSAGE}:
        assert not ask(LISTED, kind=kind, place=GROUP, addressed=False).overheard


# -- several accounts, and who is in no list --------------------------------------------------------------------


def test_an_account_has_lists_of_its_own():
    policy = Policy(
        allow={"telegram": frozenset({LISTED}), "telegram.second": frozenset({"200"})},
        owners={"telegram.second": frozenset({OWNER})},
        access={"telegram.second": "pairing"},
    )
    assert ask(LISTED, policy=policy).allowed
    assert not ask(LISTED, policy=policy, key="telegram.second").allowed
    assert ask("200", policy=policy, key="telegram.second") == let_in("user")
    assert ask(OWNER, policy=policy, key="telegram.second") == let_in("owner", "owner")
    assert not ask(OWNER, policy=policy).allowed
    assert not ask("200", policy=policy, key="telegram.third").allowed


@pytest.mark.parametrize("kind", ACTED_ON)
def test_open_lets_anybody_into_a_direct_chat_but_nobody_who_is_blocked(kind):
    policy = Policy(allow={}, owners={}, access={"telegram": "open"})
    assert ask(STRANGER, kind=kind, policy=policy) == let_in("user", "open")
    assert ask(STRANGER, kind=kind, policy=policy, state="blocked") == refused("blocked")
    assert not ask(STRANGER, kind=kind, policy=policy, impersonal=True).allowed
    assert not ask(STRANGER, kind=kind, policy=policy, channel="discord").allowed
    assert not ask(STRANGER, kind=kind, policy=policy, key="telegram.second").allowed


def test_open_opens_listed_groups_and_no_others():
    policy = Policy(allow={"telegram": frozenset({"-100"})}, owners={}, access={"telegram": "open"})
    assert ask(STRANGER, place=GROUP, policy=policy) == let_in("user", "open")
    for place in (FOREIGN, GUILD):
        assert ask(STRANGER, place=place, policy=policy) == refused("group not allowed")
    assert ask(STRANGER, place=FOREIGN, policy=policy, chat="allowed") == let_in("user", "open")


@pytest.mark.parametrize("mode", ["closed", "pairing"])
@pytest.mark.parametrize("kind", TOLD)
def test_pairing_opens_nothing_by_itself(kind, mode):
    verdict = ask(kind=kind, policy=replace(POLICY, access={"telegram": mode}))
    assert (verdict.allowed, verdict.tell) == (False, TOLD[kind])


def test_the_configuration_names_owners_and_the_store_has_the_other_roles():
    def role(user_id, stored, *, channel="telegram", key=""):
        return role_of(channel=channel, key=key, user_id=user_id, role=stored, policy=POLICY)

    assert role(OWNER, "user") == "owner"
    assert role(OWNER, "user", key="telegram.second") == "user"
    assert role(LISTED, "admin") == "admin"
    assert role(LISTED, None) == "user"
    assert role("me", None, channel="main") == "owner"


def test_a_role_may_what_those_below_it_may():
    order = ["user", "admin", "owner"]
    for has in order:
        for needs in order:
            assert enough(has, needs) is (order.index(has) >= order.index(needs))


PLACES = st.builds(
    Place,
    chat_id=st.text(),
    thread_id=st.text(),
    user_id=st.sampled_from(["", LISTED, OWNER, STRANGER]),
    kind=st.sampled_from(["direct", "group", "thread", "client", "job"]),
    server=st.sampled_from(["", "-100", "30"]),
)
SENDERS = st.builds(
    Sender,
    user_id=st.one_of(st.integers().map(str), st.text()),
    name=st.sampled_from([LISTED, OWNER, "@alice", ""]),
    lang=st.text(),
    impersonal=st.booleans(),
)


@given(
    kind=st.sampled_from(Kind),
    place=PLACES,
    sender=st.none() | SENDERS,
    state=st.sampled_from(["new", "blocked"]),
    role=st.sampled_from([None, "user", "admin", "owner"]),
    addressed=st.booleans(),
    chat=st.sampled_from(["new", "allowed", "blocked"]),
    mode=st.sampled_from(["closed", "pairing"]),
)
def test_no_unlisted_stranger_is_ever_let_in(kind, place, sender, state, role, addressed, chat, mode):
    assume(sender is None or sender.user_id not in {LISTED, OWNER})
    verdict = may(
        kind=kind,
        channel="telegram",
        place=place,
        sender=sender,
        state=state,
        role=role,
        addressed=addressed,
        policy=replace(POLICY, access={"telegram": mode}),
        chat=chat,
    )
    assert not verdict.allowed
    assert verdict.role is None
    assert not (verdict.tell and (place.kind != "direct" or state == "blocked" or sender is None))


@given(
    kind=st.sampled_from(Kind),
    place=PLACES,
    state=st.sampled_from(["new", "allowed", "blocked"]),
    role=st.sampled_from([None, "user", "admin"]),
    addressed=st.booleans(),
)
def test_nobody_becomes_owner_but_by_the_configuration(kind, place, state, role, addressed):
    verdict = ask(LISTED, kind=kind, place=place, state=state, role=role, addressed=addressed)
    assert verdict.role in (None, role or "user")
    assert verdict.allowed == (verdict.role is not None)
