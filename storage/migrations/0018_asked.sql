-- v18 (readable by v18+): questions that came with a whole history, so that the next one finds its session.

CREATE TABLE asked (
  id      {id},
  event   TEXT NOT NULL UNIQUE,           -- of its row in the inbox
  session {int} NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  seq     {int} NOT NULL,                 -- the transcript's next number when it was asked
  digest  TEXT NOT NULL,                  -- of the history up to and with the question
  told    TEXT                            -- digest of the answer as it was sent; NULL: none was
) {strict};
CREATE INDEX asked_digest ON asked(digest);
CREATE INDEX asked_session ON asked(session);
