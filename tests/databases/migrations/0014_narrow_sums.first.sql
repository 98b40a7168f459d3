-- v14 (readable by v14+): the sums by day are narrow: what a cache saved is reckoned once for each request, so that no sum
-- needs to tell the prices apart, and what they are grouped by is a number.

DROP TRIGGER usage_settled;
DROP TRIGGER usage_changed;
DROP TRIGGER usage_gone;
DROP TRIGGER usage_brought;
DROP VIEW usage_drift;
DROP VIEW turn_day_true;
DROP VIEW usage_day_true;
DROP VIEW usage_faceted;
DROP TABLE turn_day;
DROP TABLE usage_day;
-- The sums are made anew soon after the next start, and are not read until then.
DELETE FROM meta WHERE key = 'report_zone';

ALTER TABLE usage ADD COLUMN saved {int}; -- nano-dollars that the same input would have cost more uncached; NULL: no price
UPDATE usage SET saved = CAST(round(1000 * (
         tok_read * coalesce(q.uncached - q.read, 0) + tok_w5m * coalesce(q.uncached - q.short, 0)
         + tok_w1h * coalesce(q.uncached - q.long, 0))) AS INTEGER)
  FROM (SELECT id, CAST(json_extract(rates, '$.rates.uncached') AS REAL) AS uncached,
               CAST(json_extract(rates, '$.rates.read') AS REAL) AS read,
               CAST(json_extract(rates, '$.rates.write_5m') AS REAL) AS short,
               CAST(json_extract(rates, '$.rates.write_1h') AS REAL) AS long
          FROM price) q
 WHERE q.id = usage.price AND usage.state <> 'open' AND usage.cost IS NOT NULL;

-- What sums are grouped by that is a word: models, channels, triggers, purposes.
CREATE TABLE usage_name (
  id   {id},
  text TEXT NOT NULL UNIQUE
) {strict};

CREATE TABLE usage_day (
  facet          TEXT NOT NULL,           -- total, user, model, channel, chat, trigger, purpose, session
  day            {int} NOT NULL,          -- so many days after 1970-01-01
  name           {int} NOT NULL,          -- an identity, a conversation, a session, a usage_name; 0: none
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
  saved          {int} NOT NULL,
  PRIMARY KEY (facet, day, name)
) {clustered};

-- Turns that went over midnight, which more than one day counts.
CREATE TABLE turn_day (
  facet TEXT NOT NULL,
  day   {int} NOT NULL,
  name  {int} NOT NULL,
  turn  {int} NOT NULL,
  PRIMARY KEY (facet, day, name, turn)
) {clustered};

-- Settled requests; *day* is NULL where nothing is summed.
CREATE VIEW usage_dated AS
  SELECT u.id, u.turn,
         (u.at + (SELECT z.ahead FROM zone_offset z WHERE z.starts <= u.at ORDER BY z.starts DESC LIMIT 1))
           / 86400000000 AS day,
         coalesce(u.identity, 0) AS user, coalesce(u.conversation, 0) AS chat, coalesce(u.session, 0) AS session,
         u.provider || ':' || coalesce(u.model, u.model_asked) AS model, u.channel,
         coalesce(u.trigger, '(a person)') AS trigger, u.purpose,
         u.tok_in, u.tok_read, u.tok_w5m, u.tok_w1h, u.tok_out, coalesce(u.cost, 0) AS cost,
         (u.cost IS NULL AND u.state <> 'failed') AS unpriced, (u.state = 'estimated') AS estimated,
         CASE WHEN u.state = 'estimated' THEN coalesce(u.cost, 0) ELSE 0 END AS estimated_cost,
         coalesce(u.saved, 0) AS saved
    FROM usage u WHERE u.state <> 'open';

CREATE VIEW usage_faceted AS
  SELECT d.*, f.facet,
         CASE f.facet WHEN 'user' THEN d.user
                      WHEN 'chat' THEN d.chat
                      WHEN 'session' THEN d.session
                      WHEN 'model' THEN (SELECT n.id FROM usage_name n WHERE n.text = d.model)
                      WHEN 'channel' THEN (SELECT n.id FROM usage_name n WHERE n.text = d.channel)
                      WHEN 'trigger' THEN (SELECT n.id FROM usage_name n WHERE n.text = d.trigger)
                      WHEN 'purpose' THEN (SELECT n.id FROM usage_name n WHERE n.text = d.purpose)
                      ELSE 0 END AS name
    FROM usage_dated d CROSS JOIN (
         SELECT 'total' AS facet UNION ALL SELECT 'user' UNION ALL SELECT 'model' UNION ALL SELECT 'channel' UNION ALL
         SELECT 'chat' UNION ALL SELECT 'trigger' UNION ALL SELECT 'purpose' UNION ALL SELECT 'session') f;

-- What usage_day and turn_day must hold. Each facet by itself: that sorts far less than all of them together.
CREATE VIEW usage_day_true AS
  SELECT 'total' AS facet, day, 0 AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day
  UNION ALL
  SELECT 'user' AS facet, day, user AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, user
  UNION ALL
  SELECT 'model' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = model) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, model
  UNION ALL
  SELECT 'channel' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = channel) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, channel
  UNION ALL
  SELECT 'chat' AS facet, day, chat AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, chat
  UNION ALL
  SELECT 'trigger' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = trigger) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, trigger
  UNION ALL
  SELECT 'purpose' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = purpose) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, purpose
  UNION ALL
  SELECT 'session' AS facet, day, session AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, count(*) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, session;

CREATE VIEW turn_day_true AS
  SELECT DISTINCT facet, day, name, turn FROM usage_faceted WHERE turn IN (
    SELECT turn FROM usage_dated WHERE turn IS NOT NULL GROUP BY turn HAVING min(day) < max(day));

-- How many rows of them are wrong or missing: those that should be there and those that are, less twice the same ones.
CREATE VIEW usage_drift AS
  SELECT (SELECT count(*) FROM usage_day) + (SELECT count(*) FROM turn_day)
       + (SELECT count(*) - 2 * count(d.day) FROM usage_day_true t LEFT JOIN usage_day d
            ON d.facet = t.facet AND d.day = t.day AND d.name = t.name
           AND d.tok_in = t.tok_in AND d.tok_read = t.tok_read AND d.tok_w5m = t.tok_w5m
           AND d.tok_w1h = t.tok_w1h AND d.tok_out = t.tok_out AND d.cost = t.cost
           AND d.requests = t.requests AND d.turns = t.turns AND d.unpriced = t.unpriced
           AND d.estimated = t.estimated AND d.estimated_cost = t.estimated_cost AND d.saved = t.saved)
       + (SELECT count(*) - 2 * count(d.day) FROM turn_day_true t LEFT JOIN turn_day d
            ON d.facet = t.facet AND d.day = t.day AND d.name = t.name AND d.turn = t.turn) AS found;

CREATE TRIGGER usage_settled AFTER UPDATE OF state ON usage WHEN OLD.state = 'open' AND NEW.state <> 'open' BEGIN
  INSERT INTO usage_name (text)
    SELECT model FROM usage_dated WHERE id = NEW.id UNION SELECT channel FROM usage_dated WHERE id = NEW.id UNION
    SELECT trigger FROM usage_dated WHERE id = NEW.id UNION SELECT purpose FROM usage_dated WHERE id = NEW.id
    ON CONFLICT (text) DO NOTHING;
  INSERT INTO usage_day
    SELECT n.facet, n.day, n.name, n.tok_in, n.tok_read, n.tok_w5m, n.tok_w1h, n.tok_out, n.cost, 1,
           n.turn IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM usage_faceted o
              WHERE o.turn = NEW.turn AND o.id <> NEW.id AND o.facet = n.facet AND o.name = n.name AND o.day = n.day),
           n.unpriced, n.estimated, n.estimated_cost, n.saved
      FROM usage_faceted n WHERE n.id = NEW.id AND n.day IS NOT NULL
    ON CONFLICT (facet, day, name) DO UPDATE SET
      tok_in = tok_in + excluded.tok_in, tok_read = tok_read + excluded.tok_read,
      tok_w5m = tok_w5m + excluded.tok_w5m, tok_w1h = tok_w1h + excluded.tok_w1h, tok_out = tok_out + excluded.tok_out,
      cost = cost + excluded.cost, requests = requests + 1, turns = turns + excluded.turns,
      unpriced = unpriced + excluded.unpriced, estimated = estimated + excluded.estimated,
      estimated_cost = estimated_cost + excluded.estimated_cost, saved = saved + excluded.saved;
  INSERT INTO turn_day
    SELECT DISTINCT facet, day, name, turn FROM usage_faceted
     WHERE turn = NEW.turn AND (SELECT min(day) < max(day) FROM usage_dated WHERE turn = NEW.turn)
    ON CONFLICT (facet, day, name, turn) DO NOTHING;
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
