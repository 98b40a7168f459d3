-- v5 (readable by v5+): the bill summed by day of the report zone, in the transaction that settles a request.

-- By how many microseconds the report zone's clock is ahead of UTC, from when on. Empty: nothing is summed.
CREATE TABLE zone_offset (
  starts {int} PRIMARY KEY,
  ahead  {int} NOT NULL
) {strict};

CREATE TABLE usage_day (
  facet          TEXT NOT NULL,           -- total, user, model, channel, chat, trigger, purpose, session
  day            {int} NOT NULL,          -- so many days after 1970-01-01
  name           TEXT NOT NULL,           -- whose sum it is: an identity, a conversation and a session by their number
  price          {int} NOT NULL,          -- of those that used a cache; 0: of the others; -1: the row that counts turns
  tok_in         {int} NOT NULL,
  tok_read       {int} NOT NULL,
  tok_w5m        {int} NOT NULL,
  tok_w1h        {int} NOT NULL,
  tok_out        {int} NOT NULL,
  cost           {int} NOT NULL,
  requests       {int} NOT NULL,
  turns          {int} NOT NULL,
  unpriced       {int} NOT NULL,
  estimated      {int} NOT NULL,
  estimated_cost {int} NOT NULL,
  PRIMARY KEY (facet, day, name, price)
) {strict};

-- Turns that went over midnight, which more than one day counts.
CREATE TABLE turn_day (
  facet TEXT NOT NULL,
  day   {int} NOT NULL,
  name  TEXT NOT NULL,
  turn  {int} NOT NULL,
  PRIMARY KEY (facet, day, name, turn)
) {strict};

CREATE VIEW usage_faceted AS
  SELECT u.id, u.turn, f.facet,
         (u.at + (SELECT z.ahead FROM zone_offset z WHERE z.starts <= u.at ORDER BY z.starts DESC LIMIT 1))
           / 86400000000 AS day,
         CASE f.facet WHEN 'user' THEN CAST(coalesce(u.identity, 0) AS TEXT)
                      WHEN 'model' THEN u.provider || ':' || coalesce(u.model, u.model_asked)
                      WHEN 'channel' THEN u.channel
                      WHEN 'chat' THEN CAST(coalesce(u.conversation, 0) AS TEXT)
                      WHEN 'trigger' THEN coalesce(u.trigger, '(a person)')
                      WHEN 'purpose' THEN u.purpose
                      WHEN 'session' THEN CAST(coalesce(u.session, 0) AS TEXT)
                      ELSE '' END AS name,
         CASE WHEN u.cost IS NOT NULL AND u.tok_read + u.tok_w5m + u.tok_w1h > 0 THEN coalesce(u.price, 0)
              ELSE 0 END AS price,
         u.tok_in, u.tok_read, u.tok_w5m, u.tok_w1h, u.tok_out, coalesce(u.cost, 0) AS cost,
         (u.cost IS NULL AND u.state <> 'failed') AS unpriced, (u.state = 'estimated') AS estimated,
         CASE WHEN u.state = 'estimated' THEN coalesce(u.cost, 0) ELSE 0 END AS estimated_cost
    FROM usage u CROSS JOIN (
         SELECT 'total' AS facet UNION ALL SELECT 'user' UNION ALL SELECT 'model' UNION ALL SELECT 'channel' UNION ALL
         SELECT 'chat' UNION ALL SELECT 'trigger' UNION ALL SELECT 'purpose' UNION ALL SELECT 'session') f
   WHERE u.state <> 'open';

-- What usage_day and turn_day must hold.
CREATE VIEW usage_day_true AS
  SELECT facet, day, name, price, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests, 0 AS turns,
         sum(unpriced) AS unpriced, sum(estimated) AS estimated, sum(estimated_cost) AS estimated_cost
    FROM usage_faceted WHERE day IS NOT NULL GROUP BY facet, day, name, price
  UNION ALL
  SELECT facet, day, name, -1, 0, 0, 0, 0, 0, 0, 0, count(DISTINCT turn), 0, 0, 0
    FROM usage_faceted WHERE day IS NOT NULL AND turn IS NOT NULL GROUP BY facet, day, name;

CREATE VIEW turn_day_true AS
  SELECT DISTINCT facet, day, name, turn FROM usage_faceted WHERE turn IN (
    SELECT turn FROM usage_faceted WHERE facet = 'total' AND turn IS NOT NULL GROUP BY turn HAVING min(day) < max(day));

-- How many rows of them are wrong or missing.
CREATE VIEW usage_drift AS
  SELECT (SELECT count(*) FROM (SELECT * FROM usage_day_true EXCEPT SELECT * FROM usage_day))
       + (SELECT count(*) FROM (SELECT * FROM usage_day EXCEPT SELECT * FROM usage_day_true))
       + (SELECT count(*) FROM (SELECT * FROM turn_day_true EXCEPT SELECT * FROM turn_day))
       + (SELECT count(*) FROM (SELECT * FROM turn_day EXCEPT SELECT * FROM turn_day_true)) AS found;

CREATE TRIGGER usage_settled AFTER UPDATE OF state ON usage WHEN OLD.state = 'open' AND NEW.state <> 'open' BEGIN
  INSERT INTO usage_day
    SELECT facet, day, name, price, tok_in, tok_read, tok_w5m, tok_w1h, tok_out, cost, 1, 0, unpriced, estimated,
           estimated_cost
      FROM usage_faceted WHERE id = NEW.id AND day IS NOT NULL
    ON CONFLICT (facet, day, name, price) DO UPDATE SET
      tok_in = tok_in + excluded.tok_in, tok_read = tok_read + excluded.tok_read,
      tok_w5m = tok_w5m + excluded.tok_w5m, tok_w1h = tok_w1h + excluded.tok_w1h, tok_out = tok_out + excluded.tok_out,
      cost = cost + excluded.cost, requests = requests + 1, unpriced = unpriced + excluded.unpriced,
      estimated = estimated + excluded.estimated, estimated_cost = estimated_cost + excluded.estimated_cost;
  INSERT INTO usage_day
    SELECT n.facet, n.day, n.name, -1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0
      FROM usage_faceted n WHERE n.id = NEW.id AND n.turn IS NOT NULL AND n.day IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM usage_faceted o
            WHERE o.turn = NEW.turn AND o.id <> NEW.id AND o.facet = n.facet AND o.name = n.name AND o.day = n.day)
    ON CONFLICT (facet, day, name, price) DO UPDATE SET turns = turns + 1;
  INSERT OR IGNORE INTO turn_day
    SELECT DISTINCT facet, day, name, turn FROM usage_faceted
     WHERE turn = NEW.turn AND (
           SELECT min(day) < max(day) FROM usage_faceted WHERE turn = NEW.turn AND facet = 'total');
END;

-- Settled rows change when a chat moves, and hardly ever else: the sums are made anew at the next start, and are not
-- read until then.
CREATE TRIGGER usage_changed AFTER UPDATE ON usage WHEN OLD.state <> 'open' BEGIN
  DELETE FROM meta WHERE key = 'report_zone';
END;
CREATE TRIGGER usage_gone AFTER DELETE ON usage WHEN OLD.state <> 'open' BEGIN
  DELETE FROM meta WHERE key = 'report_zone';
END;
CREATE TRIGGER usage_brought AFTER INSERT ON usage WHEN NEW.state <> 'open' BEGIN
  DELETE FROM meta WHERE key = 'report_zone';
END;
