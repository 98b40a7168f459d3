-- v11 (readable by v11+): compactions that can be looked at and taken back; how much room the next request needs.

ALTER TABLE compaction ADD COLUMN method TEXT NOT NULL DEFAULT 'notes'; -- notes, beginnings, pruned
ALTER TABLE compaction ADD COLUMN messages {int} NOT NULL DEFAULT 0;    -- that it covers
ALTER TABLE compaction ADD COLUMN requests {int} NOT NULL DEFAULT 0;    -- to models, for the notes
ALTER TABLE compaction ADD COLUMN cost {int};                           -- of them all; NULL: not known
ALTER TABLE compaction ADD COLUMN model TEXT;                           -- that wrote the notes; NULL: none did
ALTER TABLE compaction ADD COLUMN focus TEXT NOT NULL DEFAULT '';
ALTER TABLE compaction ADD COLUMN changed {int} NOT NULL DEFAULT 0;     -- when it was made, taken back or put back
UPDATE compaction SET changed = created, messages = to_seq - from_seq, requests = (usage_uid IS NOT NULL),
       cost = (SELECT u.cost FROM usage u WHERE u.uid = usage_uid),
       model = (SELECT coalesce(u.model, u.model_asked) FROM usage u WHERE u.uid = usage_uid);
CREATE INDEX compaction_session ON compaction(session);

-- The upper bound of a request's input as it was opened: what it came to is measured against that.
ALTER TABLE usage ADD COLUMN bound {int};

-- Compactions one after another that made no room, and the turn before which none is made unasked.
ALTER TABLE session ADD COLUMN compact_vain {int} NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN compact_from {int} NOT NULL DEFAULT 0;
