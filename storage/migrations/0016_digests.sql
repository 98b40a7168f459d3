-- v16 (readable by v16+): a digest looks for what somebody asked in a stretch of time.

CREATE INDEX turn_asked ON turn(identity, started) WHERE identity IS NOT NULL;
