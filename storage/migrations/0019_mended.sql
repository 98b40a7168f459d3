-- v19 (readable by v19+): what a database lacks that was made by a version between: some migrations were changed after
-- they had been applied. From here on the list of those that a database has is kept, and their text never changes.

ALTER TABLE conversation ADD COLUMN IF NOT EXISTS server TEXT NOT NULL DEFAULT '';
ALTER TABLE identity ADD COLUMN IF NOT EXISTS person_before {int} REFERENCES person(id);
ALTER TABLE identity ADD COLUMN IF NOT EXISTS state_before TEXT;

CREATE INDEX IF NOT EXISTS session_to_export ON session(id) WHERE state = 'closed' AND exported IS NULL AND deleted IS NULL;
CREATE INDEX IF NOT EXISTS outbox_dead ON outbox(created) WHERE state = 'dead' AND payload IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_session ON outbox(session) WHERE payload IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_refused ON outbox(created) WHERE state = 'dead';
DROP INDEX IF EXISTS session_unexported;

DROP TRIGGER IF EXISTS entry_said;
DROP TRIGGER IF EXISTS entry_unsaid;
DROP TRIGGER IF EXISTS entry_said_before;
DROP TRIGGER IF EXISTS entry_said_anew;
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

DROP VIEW IF EXISTS usage_drift;
DROP VIEW IF EXISTS tool_day_true;
DROP VIEW IF EXISTS turn_dated;
DROP TRIGGER IF EXISTS tool_called;
DROP TRIGGER IF EXISTS tool_failed;
DROP TRIGGER IF EXISTS tool_gone;
CREATE TABLE IF NOT EXISTS tool_day (
  day    {int} NOT NULL,
  name   TEXT NOT NULL,
  calls  {int} NOT NULL,
  errors {int} NOT NULL,
  PRIMARY KEY (day, name)
) {clustered};

CREATE VIEW turn_dated AS
  SELECT t.id, (t.started + (SELECT z.ahead FROM zone_offset z WHERE z.starts <= t.started
                              ORDER BY z.starts DESC LIMIT 1)) / 86400000000 AS day
    FROM turn t;

CREATE VIEW tool_day_true AS
  SELECT t.day, c.name, count(*) AS calls, coalesce(sum(c.is_error), 0) AS errors
    FROM tool_call c JOIN turn_dated t ON t.id = c.turn WHERE t.day IS NOT NULL GROUP BY t.day, c.name;

-- How many rows of them are wrong or missing: those that should be there and those that are, less twice the same ones.
CREATE VIEW usage_drift AS
  SELECT (SELECT count(*) FROM usage_day) + (SELECT count(*) FROM turn_day) + (SELECT count(*) FROM tool_day)
       + (SELECT count(*) - 2 * count(d.day) FROM usage_day_true t LEFT JOIN usage_day d
            ON d.facet = t.facet AND d.day = t.day AND d.name = t.name
           AND d.tok_in = t.tok_in AND d.tok_read = t.tok_read AND d.tok_w5m = t.tok_w5m
           AND d.tok_w1h = t.tok_w1h AND d.tok_out = t.tok_out AND d.cost = t.cost
           AND d.requests = t.requests AND d.turns = t.turns AND d.unpriced = t.unpriced
           AND d.estimated = t.estimated AND d.estimated_cost = t.estimated_cost AND d.saved = t.saved)
       + (SELECT count(*) - 2 * count(d.day) FROM turn_day_true t LEFT JOIN turn_day d
            ON d.facet = t.facet AND d.day = t.day AND d.name = t.name AND d.turn = t.turn)
       + (SELECT count(*) - 2 * count(d.day) FROM tool_day_true t LEFT JOIN tool_day d
            ON d.day = t.day AND d.name = t.name AND d.calls = t.calls AND d.errors = t.errors) AS found;

CREATE TRIGGER tool_called AFTER INSERT ON tool_call BEGIN
  INSERT INTO tool_day SELECT day, NEW.name, 1, coalesce(NEW.is_error, 0) FROM turn_dated
     WHERE id = NEW.turn AND day IS NOT NULL
    ON CONFLICT (day, name) DO UPDATE SET calls = calls + 1, errors = errors + excluded.errors;
END;
CREATE TRIGGER tool_failed AFTER UPDATE OF is_error ON tool_call
  WHEN coalesce(NEW.is_error, 0) <> coalesce(OLD.is_error, 0) BEGIN
  UPDATE tool_day SET errors = errors + coalesce(NEW.is_error, 0) - coalesce(OLD.is_error, 0)
   WHERE name = NEW.name AND day = (SELECT day FROM turn_dated WHERE id = NEW.turn);
END;
CREATE TRIGGER tool_gone AFTER DELETE ON tool_call BEGIN
  UPDATE tool_day SET calls = calls - 1, errors = errors - coalesce(OLD.is_error, 0)
   WHERE name = OLD.name AND day = (SELECT day FROM turn_dated WHERE id = OLD.turn);
  DELETE FROM tool_day WHERE calls = 0;
END;

INSERT INTO tool_day SELECT * FROM tool_day_true WHERE NOT EXISTS (SELECT 1 FROM tool_day);
