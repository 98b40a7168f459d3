-- v9 (readable by v9+): jobs that people make, attempts at a run, and a delivery that is tried apart from its run.

-- Who made it and pays; NULL: the operator. Whose it is follows from that, so that /link takes it along; the column
-- owner is not used.
ALTER TABLE job ADD COLUMN identity {int} REFERENCES identity(id);
ALTER TABLE job ADD COLUMN conversation {int} REFERENCES conversation(id); -- the chat it was made in; NULL: in none
ALTER TABLE job ADD COLUMN created {int} NOT NULL DEFAULT 0;

ALTER TABLE job_run ADD COLUMN due {int} NOT NULL DEFAULT 0;               -- this attempt does not begin before
ALTER TABLE job_run ADD COLUMN turn {int};                                 -- that of the latest attempt
-- delivery: none, silent, owed (a target could not be found yet), waiting, sent, dead
CREATE INDEX job_run_open ON job_run(job, planned) WHERE state IN ('waiting', 'running');
CREATE INDEX job_run_owed ON job_run(due) WHERE state = 'waiting' AND inbox IS NULL;
CREATE INDEX job_run_undelivered ON job_run(id) WHERE delivery = 'owed';
