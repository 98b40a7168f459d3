-- v12 (readable by v12+): sessions are searched, paused, archived, deleted, written out as files.

ALTER TABLE session ADD COLUMN purged {int};   -- when the last of a deleted one's content was gone
ALTER TABLE session ADD COLUMN exported {int}; -- when it was written out as a file after it was closed
CREATE INDEX session_to_export ON session(id) WHERE state = 'closed' AND exported IS NULL AND deleted IS NULL;
CREATE INDEX outbox_dead ON outbox(created) WHERE state = 'dead' AND payload IS NOT NULL;
CREATE INDEX outbox_session ON outbox(session) WHERE payload IS NOT NULL;
CREATE INDEX tag_tag ON tag(tag);
CREATE INDEX session_parent ON session(parent) WHERE parent IS NOT NULL;
CREATE INDEX session_deleted ON session(deleted) WHERE deleted IS NOT NULL AND purged IS NULL;
CREATE INDEX session_unexported ON session(id) WHERE state = 'closed' AND exported IS NULL AND deleted IS NULL;
CREATE INDEX entry_marks ON entry(session, seq) WHERE kind IN ('summary', 'mark');
CREATE INDEX entry_turn ON entry(turn) WHERE turn IS NOT NULL;

-- Words of what people and the model said, and of titles. A row's number is session * 16777216 + seq; a title's ends
-- with 16777215. The words alone are kept, the text is read where it stands.
CREATE VIRTUAL TABLE said USING fts5(text, content = '', tokenize = 'unicode61 remove_diacritics 2');

-- What is no JSON has no words: a row that somebody has spoilt must not keep anything from being stored.
CREATE TRIGGER entry_said AFTER INSERT ON entry WHEN NEW.kind IN ('user', 'assistant') AND json_valid(NEW.body) BEGIN
  INSERT INTO said (rowid, text) VALUES (NEW.session * 16777216 + NEW.seq,
    CASE NEW.kind WHEN 'user' THEN json_extract(NEW.body, '$.text')
    ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(NEW.body, '$.parts')) END);
END;
CREATE TRIGGER entry_unsaid AFTER DELETE ON entry WHEN OLD.kind IN ('user', 'assistant') AND json_valid(OLD.body) BEGIN
  INSERT INTO said (said, rowid, text) VALUES ('delete', OLD.session * 16777216 + OLD.seq,
    CASE OLD.kind WHEN 'user' THEN json_extract(OLD.body, '$.text')
    ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(OLD.body, '$.parts')) END);
END;
CREATE TRIGGER entry_said_before BEFORE UPDATE OF body ON entry WHEN OLD.kind IN ('user', 'assistant') AND json_valid(OLD.body) BEGIN
  INSERT INTO said (said, rowid, text) VALUES ('delete', OLD.session * 16777216 + OLD.seq,
    CASE OLD.kind WHEN 'user' THEN json_extract(OLD.body, '$.text')
    ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(OLD.body, '$.parts')) END);
END;
CREATE TRIGGER entry_said_anew AFTER UPDATE OF body ON entry WHEN NEW.kind IN ('user', 'assistant') AND json_valid(NEW.body) BEGIN
  INSERT INTO said (rowid, text) VALUES (NEW.session * 16777216 + NEW.seq,
    CASE NEW.kind WHEN 'user' THEN json_extract(NEW.body, '$.text')
    ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(NEW.body, '$.parts')) END);
END;
CREATE TRIGGER session_titled AFTER INSERT ON session WHEN NEW.title IS NOT NULL BEGIN
  INSERT INTO said (rowid, text) VALUES (NEW.id * 16777216 + 16777215, NEW.title);
END;
CREATE TRIGGER session_retitled AFTER UPDATE OF title ON session WHEN OLD.title IS NOT NEW.title BEGIN
  INSERT INTO said (said, rowid, text)
    SELECT 'delete', OLD.id * 16777216 + 16777215, OLD.title WHERE OLD.title IS NOT NULL;
  INSERT INTO said (rowid, text) SELECT NEW.id * 16777216 + 16777215, NEW.title WHERE NEW.title IS NOT NULL;
END;

INSERT INTO said (rowid, text)
  SELECT session * 16777216 + seq,
         CASE kind WHEN 'user' THEN json_extract(body, '$.text')
         ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(body, '$.parts')) END
    FROM entry WHERE kind IN ('user', 'assistant') AND json_valid(body) ORDER BY session, seq;
INSERT INTO said (rowid, text)
  SELECT id * 16777216 + 16777215, title FROM session WHERE title IS NOT NULL ORDER BY id;
