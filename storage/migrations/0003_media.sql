-- v3 (readable by v3+): files that came with messages, or that were made; they themselves lie in the media folder.

CREATE TABLE media (
  id      {id},
  inbox   {int},                        -- the message it came with; NULL: it was made here
  sha256  TEXT NOT NULL,
  path    TEXT NOT NULL UNIQUE,         -- below the media folder, of our choosing
  type    TEXT NOT NULL,                -- media type, by its content
  bytes   {int} NOT NULL,
  name    TEXT NOT NULL DEFAULT '',     -- as its sender calls it: shown, never a path
  created {int} NOT NULL,
  deleted {int}                         -- NULL: the file is there
) {strict};
CREATE INDEX media_there ON media(created) WHERE deleted IS NULL;
-- An edit looks for what its message said; so does who asks who wrote a message.
CREATE INDEX inbox_message ON inbox(conversation, message_id) WHERE message_id <> '';
