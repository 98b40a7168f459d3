-- v2 (readable by v2+): pairing and linking, the audit trail, limits by person, overheard group messages.

CREATE TABLE pairing (
  id        {id},
  kind      TEXT NOT NULL,                -- pair (asks to be let in), link (joins another identity)
  identity  {int} NOT NULL REFERENCES identity(id),
  account   {int} NOT NULL REFERENCES account(id),
  code_hash TEXT NOT NULL,                -- the code itself is kept nowhere
  tries     {int} NOT NULL DEFAULT 0,     -- wrong ones
  state     TEXT NOT NULL DEFAULT 'open', -- open -> used, refused, expired, locked
  created   {int} NOT NULL,
  expires   {int} NOT NULL
) {strict};
CREATE INDEX pairing_open ON pairing(kind, state) WHERE state = 'open';
CREATE INDEX pairing_identity ON pairing(identity, kind);

CREATE TABLE audit (
  id       {id},
  session  {int},
  at       {int} NOT NULL,
  actor    TEXT NOT NULL,                 -- channel:user id, or cli
  action   TEXT NOT NULL,
  outcome  TEXT NOT NULL,
  hash     TEXT NOT NULL,                 -- over this row and the hash before it
  previous TEXT NOT NULL
) {strict};

CREATE INDEX inbox_recent ON inbox(identity, received) WHERE identity IS NOT NULL;
CREATE INDEX inbox_overheard ON inbox(conversation, id) WHERE state = 'overheard';
