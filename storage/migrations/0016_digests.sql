-- v16 (readable by v16+): a digest looks for what was said in a stretch of time.

CREATE INDEX turn_started ON turn(started);
