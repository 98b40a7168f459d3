-- v20 (readable by v20+): searches of the web that a provider makes for its model have a row of their own beside their request's,
-- with purpose 'search' and their number in units. Each counts as a request; where none was made the row is 'void', and
-- no sum has it. The sums that are there hold: there was no such row before.

DROP TRIGGER usage_settled;
DROP VIEW usage_day_true;
DROP VIEW usage_faceted;
DROP VIEW usage_dated;

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
         coalesce(u.saved, 0) AS saved,
         CASE u.purpose WHEN 'search' THEN coalesce(u.units, 0) ELSE 1 END AS requests
    FROM usage u WHERE u.state NOT IN ('open', 'void');

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
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day
  UNION ALL
  SELECT 'user' AS facet, day, user AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, user
  UNION ALL
  SELECT 'model' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = model) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, model
  UNION ALL
  SELECT 'channel' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = channel) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, channel
  UNION ALL
  SELECT 'chat' AS facet, day, chat AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, chat
  UNION ALL
  SELECT 'trigger' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = trigger) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, trigger
  UNION ALL
  SELECT 'purpose' AS facet, day, (SELECT n.id FROM usage_name n WHERE n.text = purpose) AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, purpose
  UNION ALL
  SELECT 'session' AS facet, day, session AS name, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read, sum(tok_w5m) AS tok_w5m,
         sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost, sum(requests) AS requests,
         count(DISTINCT turn) AS turns, sum(unpriced) AS unpriced, sum(estimated) AS estimated,
         sum(estimated_cost) AS estimated_cost, sum(saved) AS saved
    FROM usage_dated WHERE day IS NOT NULL GROUP BY day, session;

CREATE TRIGGER usage_settled AFTER UPDATE OF state ON usage WHEN OLD.state = 'open' AND NEW.state <> 'open' BEGIN
  INSERT INTO usage_name (text)
    SELECT model FROM usage_dated WHERE id = NEW.id UNION SELECT channel FROM usage_dated WHERE id = NEW.id UNION
    SELECT trigger FROM usage_dated WHERE id = NEW.id UNION SELECT purpose FROM usage_dated WHERE id = NEW.id
    ON CONFLICT (text) DO NOTHING;
  INSERT INTO usage_day
    SELECT n.facet, n.day, n.name, n.tok_in, n.tok_read, n.tok_w5m, n.tok_w1h, n.tok_out, n.cost, n.requests,
           n.turn IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM usage_faceted o
              WHERE o.turn = NEW.turn AND o.id <> NEW.id AND o.facet = n.facet AND o.name = n.name AND o.day = n.day),
           n.unpriced, n.estimated, n.estimated_cost, n.saved
      FROM usage_faceted n WHERE n.id = NEW.id AND n.day IS NOT NULL
    ON CONFLICT (facet, day, name) DO UPDATE SET
      tok_in = tok_in + excluded.tok_in, tok_read = tok_read + excluded.tok_read,
      tok_w5m = tok_w5m + excluded.tok_w5m, tok_w1h = tok_w1h + excluded.tok_w1h, tok_out = tok_out + excluded.tok_out,
      cost = cost + excluded.cost, requests = requests + excluded.requests, turns = turns + excluded.turns,
      unpriced = unpriced + excluded.unpriced, estimated = estimated + excluded.estimated,
      estimated_cost = estimated_cost + excluded.estimated_cost, saved = saved + excluded.saved;
  INSERT INTO turn_day
    SELECT DISTINCT facet, day, name, turn FROM usage_faceted
     WHERE turn = NEW.turn AND (SELECT min(day) < max(day) FROM usage_dated WHERE turn = NEW.turn)
    ON CONFLICT (facet, day, name, turn) DO NOTHING;
END;
