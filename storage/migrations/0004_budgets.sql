-- v4 (readable by v4+): budgets. What is spent is summed from the ledger; an open row counts with what it reserved.

CREATE TABLE budget (
  scope    TEXT NOT NULL,               -- person, chat, session, job, channel, gateway, request
  scope_id TEXT NOT NULL,               -- an address, a session's code, a job's name; *: whoever has none of their own
  period   TEXT NOT NULL,               -- day, month, total
  cap      {int},                       -- NULL: none, whatever the configuration says
  PRIMARY KEY (scope, scope_id, period)
) {strict};

-- Who has been warned that a budget is nearly used up, and in which period.
CREATE TABLE budget_warning (
  scope    TEXT NOT NULL,
  scope_id TEXT NOT NULL,
  period   TEXT NOT NULL,
  since    {int} NOT NULL,              -- when that period began
  PRIMARY KEY (scope, scope_id, period)
) {strict};

ALTER TABLE usage ADD COLUMN reserved {int}; -- the most it can cost, as judged before it was made; NULL: no price
-- The sums for a whole gateway, or a channel, are read from this index alone.
CREATE INDEX usage_money ON usage(at, channel, state, cost, reserved);
CREATE INDEX usage_conversation ON usage(conversation, at);
CREATE INDEX usage_trigger ON usage(trigger, at) WHERE trigger IS NOT NULL;
