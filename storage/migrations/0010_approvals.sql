-- v10 (readable by v10+): what a model wants to do and a person must say yes to first.

CREATE TABLE approval (
  id           {id},
  token        TEXT NOT NULL UNIQUE,     -- what people type: /approve TOKEN
  turn         {int} NOT NULL REFERENCES turn(id),
  step         {int} NOT NULL,
  call_id      TEXT NOT NULL,
  session      {int} NOT NULL REFERENCES session(id),
  conversation {int} NOT NULL REFERENCES conversation(id),
  identity     {int} REFERENCES identity(id),   -- who asked, and may decide
  tool         TEXT NOT NULL,
  args         TEXT NOT NULL,
  action       TEXT NOT NULL,            -- what would be done, as the person was told it
  action_hash  TEXT NOT NULL,
  lang         TEXT NOT NULL,
  zone         TEXT NOT NULL,
  state        TEXT NOT NULL,            -- waiting -> approved -> done, failed, unknown; waiting -> denied, expired
  created      {int} NOT NULL,
  expires      {int} NOT NULL,
  decided      {int},
  decided_by   {int},                    -- an identity
  row          {int},                    -- the inbox row that decided
  outcome      TEXT,
  ended        {int},
  UNIQUE (turn, step, call_id)
) {strict};
CREATE INDEX approval_open ON approval (conversation) WHERE state = 'waiting';
