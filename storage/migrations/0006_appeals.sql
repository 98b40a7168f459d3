-- v6 (readable by v6+): questions that a budget refused, and what an admin made of them.

CREATE TABLE appeal (
  turn     {int} PRIMARY KEY REFERENCES turn(id), -- that was refused
  scope    TEXT NOT NULL,               -- of the budget, as in the table budget
  scope_id TEXT NOT NULL,
  period   TEXT NOT NULL,
  facts    TEXT NOT NULL,               -- JSON: what was spent, reserved and wanted
  asked    {int} NOT NULL DEFAULT 0,    -- whether admins were told
  created  {int} NOT NULL,
  decision TEXT,                        -- allow, raise; NULL: none yet
  actor    TEXT,                        -- as channel:id, or cli
  decided  {int}
) {strict};
CREATE INDEX appeal_open ON appeal(created) WHERE decision IS NULL;

-- The messages that have the buttons: their texts, until it is decided.
CREATE TABLE appeal_notice (
  turn   {int} NOT NULL REFERENCES appeal(turn),
  origin TEXT NOT NULL,                 -- of the outbox
  lang   TEXT NOT NULL,
  text   TEXT NOT NULL,
  PRIMARY KEY (turn, origin)
) {strict};

ALTER TABLE turn ADD COLUMN over TEXT NOT NULL DEFAULT ''; -- budgets it may run past, as in 'person:day chat:month'
