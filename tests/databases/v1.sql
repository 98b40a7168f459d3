-- A database as the first Parley left it, killed in the middle of an answer: one turn runs, one message waits.
BEGIN TRANSACTION;
CREATE TABLE account (
  id          INTEGER PRIMARY KEY,
  channel     TEXT NOT NULL,
  platform_id TEXT NOT NULL,              -- the bot's own number, not its name in the config
  name        TEXT NOT NULL DEFAULT '',
  state       TEXT NOT NULL DEFAULT 'on',
  owner       TEXT,
  until       INTEGER,
  fence       INTEGER NOT NULL DEFAULT 0,
  UNIQUE (channel, platform_id)
) STRICT;
INSERT INTO "account" VALUES(1,'job','job','','on',NULL,NULL,0);
INSERT INTO "account" VALUES(2,'telegram','123456','parley_test_bot','on',NULL,NULL,0);
CREATE TABLE button (
  token        TEXT PRIMARY KEY,
  action       TEXT NOT NULL,
  args         TEXT NOT NULL,
  conversation INTEGER NOT NULL REFERENCES conversation(id),
  for_person   INTEGER,
  outbox       INTEGER,
  expires      INTEGER,
  used         INTEGER
) STRICT;
CREATE TABLE compaction (
  id        INTEGER PRIMARY KEY,
  session   INTEGER NOT NULL REFERENCES session(id),
  entry_seq INTEGER NOT NULL,
  cause     TEXT NOT NULL,                -- manual, auto, overflow
  from_seq  INTEGER NOT NULL,
  to_seq    INTEGER NOT NULL,
  before    INTEGER NOT NULL,               -- tokens
  after     INTEGER,
  usage_uid TEXT,
  state     TEXT NOT NULL DEFAULT 'on',
  created   INTEGER NOT NULL
) STRICT;
CREATE TABLE conversation (
  id              INTEGER PRIMARY KEY,
  account         INTEGER NOT NULL REFERENCES account(id),
  chat_id         TEXT NOT NULL,
  thread_id       TEXT NOT NULL DEFAULT '',
  user_id         TEXT NOT NULL DEFAULT '',
  kind            TEXT NOT NULL,
  current_session INTEGER UNIQUE,
  settings        TEXT NOT NULL DEFAULT '{"v":1}',
  address         TEXT NOT NULL DEFAULT '',
  blocked         INTEGER,
  owner           TEXT,                   -- the lease: who runs this conversation's turn
  until           INTEGER,
  fence           INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, chat_id, thread_id, user_id)
) STRICT;
INSERT INTO "conversation" VALUES(1,2,'1001','','','direct',3,'{"v":1}','',NULL,NULL,NULL,3);
INSERT INTO "conversation" VALUES(2,2,'1002','','','direct',2,'{"v":1}','',NULL,'794094c003175dd0',NULL,2);
INSERT INTO "conversation" VALUES(3,1,'hourly','','','job',NULL,'{"v":1}','',NULL,NULL,NULL,1);
INSERT INTO "conversation" VALUES(4,2,'1003','','','direct',NULL,'{"v":1}','',NULL,NULL,NULL,0);
CREATE TABLE cursor (
  account INTEGER NOT NULL REFERENCES account(id),
  scope   TEXT NOT NULL,
  value   TEXT NOT NULL,
  PRIMARY KEY (account, scope)
) STRICT;
CREATE TABLE entry (
  session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  seq     INTEGER NOT NULL,
  turn    INTEGER,
  kind    TEXT NOT NULL,                  -- user, assistant, results, note, summary, mark
  body    TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (session, seq)
) STRICT;
INSERT INTO "entry" VALUES(1,0,1,'user','{"v": 1, "text": "m00001 short"}',1795681401229911);
INSERT INTO "entry" VALUES(1,1,1,'user','{"v": 1, "text": "m00003 medium"}',1795681401229911);
INSERT INTO "entry" VALUES(2,0,2,'user','{"v": 1, "text": "m00002 tool"}',1795681401229955);
INSERT INTO "entry" VALUES(2,1,2,'assistant','{"v": 1, "parts": [{"t": "tool", "id": "call_2fb24a355edf4cac98a80390", "name": "note", "args": "{\"word\":\"m00002\"}"}], "model": "gpt-5-mini"}',1795681403712966);
INSERT INTO "entry" VALUES(1,2,1,'assistant','{"v": 1, "parts": [{"t": "text", "text": "You said m00001 m00003.\nm00001 goes on with line number 000 of them all.\nm00001 goes on with line number 001 of them all.\nm00001 goes on with line number 002 of them all.\nm00001 goes on with line number 003 of them all.\nm00001 goes on with line number 004 of them all.\nm00001 goes on with line number 005 of them all.\nm00001 goes on with line number 006 of them all.\nm00001 goes on with line number 007 of them all.\nm00001 goes on with line number 008 of them all.\nm00001 goes on with line number 009 of them all.\nm00001 goes on with line number 010 of them all.\nm00001 goes on with line number 011 of them all."}], "model": "gpt-5-mini"}',1795681403728373);
INSERT INTO "entry" VALUES(2,2,2,'results','{"v": 1, "results": [{"id": "call_2fb24a355edf4cac98a80390", "name": "note", "text": "noted m00002"}]}',1795681403790299);
INSERT INTO "entry" VALUES(2,3,2,'assistant','{"v": 1, "parts": [{"t": "text", "text": "You said m00002 and the tool said noted m00002."}], "model": "gpt-5-mini"}',1795681404184066);
INSERT INTO "entry" VALUES(3,0,3,'user','{"v": 1, "text": "m00004 long"}',1795681405493760);
INSERT INTO "entry" VALUES(3,1,3,'assistant','{"v": 1, "parts": [{"t": "text", "text": "You said m00004.\nm00004 goes on with line number 000 of them all.\nm00004 goes on with line number 001 of them all.\nm00004 goes on with line number 002 of them all.\nm00004 goes on with line number 003 of them all.\nm00004 goes on with line number 004 of them all.\nm00004 goes on with line number 005 of them all.\nm00004 goes on with line number 006 of them all.\nm00004 goes on with line number 007 of them all.\nm00004 goes on with line number 008 of them all.\nm00004 goes on with line number 009 of them all.\nm00004 goes on with line number 010 of them all.\nm00004 goes on with line number 011 of them all.\nm00004 goes on with line number 012 of them all.\nm00004 goes on with line number 013 of them all.\nm00004 goes on with line number 014 of them all.\nm00004 goes on with line number 015 of them all.\nm00004 goes on with line number 016 of them all.\nm00004 goes on with line number 017 of them all.\nm00004 goes on with line number 018 of them all.\nm00004 goes on with line number 019 of them all.\nm00004 goes on with line number 020 of them all.\nm00004 goes on with line number 021 of them all.\nm00004 goes on with line number 022 of them all.\nm00004 goes on with line number 023 of them all.\nm00004 goes on with line number 024 of them all.\nm00004 goes on with line number 025 of them all.\nm00004 goes on with line number 026 of them all.\nm00004 goes on with line number 027 of them all.\nm00004 goes on with line number 028 of them all.\nm00004 goes on with line number 029 of them all.\nm00004 goes on with line number 030 of them all.\nm00004 goes on with line number 031 of them all.\nm00004 goes on with line number 032 of them all.\nm00004 goes on with line number 033 of them all.\nm00004 goes on with line number 034 of them all.\nm00004 goes on with line number 035 of them all.\nm00004 goes on with line number 036 of them all.\nm00004 goes on with line number 037 of them all.\nm00004 goes on with line number 038 of them all.\nm00004 goes on with line number 039 of them all.\nm00004 goes on with line number 040 of them all.\nm00004 goes on with line number 041 of them all.\nm00004 goes on with line number 042 of them all.\nm00004 goes on with line number 043 of them all.\nm00004 goes on with line number 044 of them all.\nm00004 goes on with line number 045 of them all.\nm00004 goes on with line number 046 of them all.\nm00004 goes on with line number 047 of them all.\nm00004 goes on with line number 048 of them all.\nm00004 goes on with line number 049 of them all.\nm00004 goes on with line number 050 of them all.\nm00004 goes on with line number 051 of them all.\nm00004 goes on with line number 052 of them all.\nm00004 goes on with line number 053 of them all.\nm00004 goes on with line number 054 of them all.\nm00004 goes on with line number 055 of them all.\nm00004 goes on with line number 056 of them all.\nm00004 goes on with line number 057 of them all.\nm00004 goes on with line number 058 of them all.\nm00004 goes on with line number 059 of them all.\nm00004 goes on with line number 060 of them all.\nm00004 goes on with line number 061 of them all.\nm00004 goes on with line number 062 of them all.\nm00004 goes on with line number 063 of them all.\nm00004 goes on with line number 064 of them all.\nm00004 goes on with line number 065 of them all.\nm00004 goes on with line number 066 of them all.\nm00004 goes on with line number 067 of them all.\nm00004 goes on with line number 068 of them all.\nm00004 goes on with line number 069 of them all.\nm00004 goes on with line number 070 of them all.\nm00004 goes on with line number 071 of them all.\nm00004 goes on with line number 072 of them all.\nm00004 goes on with line number 073 of them all.\nm00004 goes on with line number 074 of them all.\nm00004 goes on with line number 075 of them all.\nm00004 goes on with line number 076 of them all.\nm00004 goes on with line number 077 of them all.\nm00004 goes on with line number 078 of them all.\nm00004 goes on with line number 079 of them all.\nm00004 goes on with line number 080 of them all.\nm00004 goes on with line number 081 of them all.\nm00004 goes on with line number 082 of them all.\nm00004 goes on with line number 083 of them all.\nm00004 goes on with line number 084 of them all.\nm00004 goes on with line number 085 of them all.\nm00004 goes on with line number 086 of them all.\nm00004 goes on with line number 087 of them all.\nm00004 goes on with line number 088 of them all.\nm00004 goes on with line number 089 of them all.\nm00004 goes on with line number 090 of them all.\nm00004 goes on with line number 091 of them all.\nm00004 goes on with line number 092 of them all.\nm00004 goes on with line number 093 of them all.\nm00004 goes on with line number 094 of them all.\nm00004 goes on with line number 095 of them all.\nm00004 goes on with line number 096 of them all.\nm00004 goes on with line number 097 of them all.\nm00004 goes on with line number 098 of them all.\nm00004 goes on with line number 099 of them all.\nm00004 goes on with line number 100 of them all.\nm00004 goes on with line number 101 of them all.\nm00004 goes on with line number 102 of them all."}], "model": "gpt-5-mini"}',1795681406200538);
INSERT INTO "entry" VALUES(4,0,4,'user','{"v": 1, "text": "job00000 short"}',1795681410126045);
INSERT INTO "entry" VALUES(4,1,4,'assistant','{"v": 1, "parts": [{"t": "text", "text": "You said job00000."}], "model": "gpt-5-mini"}',1795681412672508);
INSERT INTO "entry" VALUES(2,4,5,'user','{"v": 1, "text": "m00005 medium"}',1795681412981603);
CREATE TABLE identity (
  id      INTEGER PRIMARY KEY,
  person  INTEGER REFERENCES person(id),    -- facts point at identities; /link changes only this
  channel TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name    TEXT NOT NULL DEFAULT '',
  lang    TEXT NOT NULL DEFAULT '',
  state   TEXT NOT NULL DEFAULT 'new',    -- new, allowed, blocked
  UNIQUE (channel, user_id)
) STRICT;
INSERT INTO "identity" VALUES(1,1,'telegram','1001','Ann','en','allowed');
INSERT INTO "identity" VALUES(2,2,'telegram','1002','Ann','en','allowed');
CREATE TABLE inbox (
  id           INTEGER PRIMARY KEY,
  account      INTEGER NOT NULL REFERENCES account(id),
  event_id     TEXT NOT NULL,
  kind         TEXT NOT NULL,
  lane         TEXT NOT NULL,             -- control, turn, note, dead
  conversation INTEGER REFERENCES conversation(id),
  identity     INTEGER REFERENCES identity(id),
  session      INTEGER,                     -- must run here, whatever the rule says
  message_id   TEXT NOT NULL DEFAULT '',
  reply_to     TEXT NOT NULL DEFAULT '',
  album        TEXT NOT NULL DEFAULT '',
  trigger      TEXT,
  job_run      INTEGER,
  raw          TEXT,
  body         TEXT NOT NULL DEFAULT '{"v":1}',
  received     INTEGER NOT NULL,
  sent         INTEGER,
  not_before   INTEGER NOT NULL DEFAULT 0,
  state        TEXT NOT NULL,             -- waiting, held -> taken -> done, refused, dead, replaced
  turn         INTEGER,
  attempts     INTEGER NOT NULL DEFAULT 0,
  error        TEXT,
  UNIQUE (account, event_id)
) STRICT;
INSERT INTO "inbox" VALUES(1,2,'100000001:1795681401','message','turn',1,1,NULL,'1','','',NULL,NULL,NULL,'{"v": 1, "text": "m00001 short"}',1795681401205724,1795681401000000,0,'done',1,1,NULL);
INSERT INTO "inbox" VALUES(2,2,'100000002:1795681401','message','turn',2,2,NULL,'2','','',NULL,NULL,NULL,'{"v": 1, "text": "m00002 tool"}',1795681401205724,1795681401000000,0,'done',2,1,NULL);
INSERT INTO "inbox" VALUES(3,2,'100000003:1795681401','message','turn',1,1,NULL,'3','','',NULL,NULL,NULL,'{"v": 1, "text": "m00003 medium"}',1795681401205724,1795681401000000,0,'done',1,1,NULL);
INSERT INTO "inbox" VALUES(4,2,'100000004:1795681405','command','turn',1,1,NULL,'6','','',NULL,NULL,NULL,'{"v": 1, "text": "/new"}',1795681405444082,1795681405000000,0,'done',NULL,1,NULL);
INSERT INTO "inbox" VALUES(5,2,'100000005:1795681405','message','turn',1,1,NULL,'7','','',NULL,NULL,NULL,'{"v": 1, "text": "m00004 long"}',1795681405492363,1795681405000000,0,'done',3,1,NULL);
INSERT INTO "inbox" VALUES(6,1,'hourly@1795681410104693','job','turn',3,NULL,NULL,'','','','hourly',1,NULL,'{"v": 1, "text": "job00000 short", "fresh": 1}',1795681410114913,NULL,0,'done',4,1,NULL);
INSERT INTO "inbox" VALUES(7,2,'100000006:1795681412','message','turn',2,2,NULL,'12','','',NULL,NULL,'{"message":{"message_id":12,"from":{"id":1002,"is_bot":false,"first_name":"Ann","language_code":"en"},"chat":{"id":1002,"type":"private"},"date":1795681412,"text":"m00005 medium"},"update_id":100000006}','{"v": 1, "text": "m00005 medium"}',1795681412973525,1795681412000000,0,'taken',5,1,NULL);
INSERT INTO "inbox" VALUES(8,2,'100000007:1795681413','message','turn',2,2,NULL,'13','','',NULL,NULL,'{"message":{"message_id":13,"from":{"id":1002,"is_bot":false,"first_name":"Ann","language_code":"en"},"chat":{"id":1002,"type":"private"},"date":1795681413,"text":"m00006 short"},"update_id":100000007}','{"v": 1, "text": "m00006 short"}',1795681413075838,1795681413000000,0,'waiting',NULL,0,NULL);
CREATE TABLE job (
  id       INTEGER PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE,
  kind     TEXT NOT NULL DEFAULT 'prompt',
  source   TEXT NOT NULL DEFAULT 'config',
  owner    INTEGER REFERENCES person(id),
  spec     TEXT NOT NULL,
  zone     TEXT NOT NULL,
  state    TEXT NOT NULL DEFAULT 'on',    -- on, paused, removed, disabled
  next_at  INTEGER,
  failures INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "job" VALUES(1,'hourly','prompt','config',NULL,'{"accepted": 1795681400600559, "catch_up": "last", "deliver_to": ["telegram:1003"], "model": "", "prompt": "job00000 short", "schedule": "0 * * * *", "v": 1}','UTC','on',1795683600000000,0);
CREATE TABLE job_run (
  id       INTEGER PRIMARY KEY,
  job      INTEGER NOT NULL REFERENCES job(id),
  planned  INTEGER NOT NULL,
  attempt  INTEGER NOT NULL DEFAULT 1,
  state    TEXT NOT NULL,                 -- waiting, running, done, failed, skipped
  delivery TEXT NOT NULL DEFAULT 'none',  -- none, waiting, sent, dead
  inbox    INTEGER,
  session  INTEGER,
  reason   TEXT,
  started  INTEGER,
  ended    INTEGER,
  UNIQUE (job, planned)
) STRICT;
INSERT INTO "job_run" VALUES(1,1,1795681410104693,1,'done','sent',6,4,NULL,1795681410126045,1795681412672508);
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
INSERT INTO "meta" VALUES('schema','1');
INSERT INTO "meta" VALUES('alive','1795681409496865');
CREATE TABLE outbox (
  id           INTEGER PRIMARY KEY,
  origin       TEXT NOT NULL,             -- turn:7, notice:…
  part         INTEGER NOT NULL,
  account      INTEGER NOT NULL REFERENCES account(id),
  conversation INTEGER NOT NULL REFERENCES conversation(id),
  session      INTEGER,
  kind         TEXT NOT NULL,
  priority     INTEGER NOT NULL DEFAULT 0,
  payload      TEXT,                      -- emptied when sent
  nonce        TEXT NOT NULL,
  state        TEXT NOT NULL,             -- ready, placing, placed, sending, sent, unknown, dead
  message_id   TEXT,
  not_before   INTEGER NOT NULL DEFAULT 0,
  attempts     INTEGER NOT NULL DEFAULT 0,
  first_try    INTEGER,
  sent         INTEGER,
  error        TEXT,
  created      INTEGER NOT NULL,
  UNIQUE (origin, part)
) STRICT;
INSERT INTO "outbox" VALUES(1,'turn:1',0,2,1,1,'answer',0,NULL,'66b7544b7d0af2c2a23301fc','sent','4',0,0,1795681403728373,1795681403880355,NULL,1795681403728373);
INSERT INTO "outbox" VALUES(2,'turn:2',0,2,2,2,'answer',0,NULL,'3d8589b823e80c18d98aa949','sent','5',0,0,1795681404184066,1795681404233612,NULL,1795681404184066);
INSERT INTO "outbox" VALUES(3,'reply:4',0,2,1,NULL,'notice',0,NULL,'2117439116ec9be096575ba1','sent','8',0,1,1795681405475158,1795681405562980,NULL,1795681405474150);
INSERT INTO "outbox" VALUES(4,'turn:3',0,2,1,3,'answer',0,NULL,'0a2042698dbdcfe76d53f2f5','sent','9',0,0,1795681406200538,1795681406294900,NULL,1795681406200538);
INSERT INTO "outbox" VALUES(5,'turn:3',1,2,1,3,'answer',0,NULL,'23d23f8ae8e0ee0add1005d1','sent','10',0,1,1795681406295790,1795681406387397,NULL,1795681406200538);
INSERT INTO "outbox" VALUES(6,'job:1:0',0,2,4,4,'job',0,NULL,'7a12e9d7d2b148e57e36fbb1','sent','11',0,0,1795681412672508,1795681412759364,NULL,1795681412672508);
CREATE TABLE person (
  id       INTEGER PRIMARY KEY,
  role     TEXT NOT NULL DEFAULT 'user',  -- owner, admin, user
  name     TEXT,
  lang     TEXT,
  zone     TEXT,
  settings TEXT NOT NULL DEFAULT '{"v":1}',
  created  INTEGER NOT NULL,
  erased   INTEGER
) STRICT;
INSERT INTO "person" VALUES(1,'user','Ann',NULL,NULL,'{"v":1}',1795681401205724,NULL);
INSERT INTO "person" VALUES(2,'user','Ann',NULL,NULL,'{"v":1}',1795681401205724,NULL);
CREATE TABLE price (
  id       INTEGER PRIMARY KEY,
  hash     TEXT NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  model    TEXT NOT NULL,
  rates    TEXT NOT NULL,
  source   TEXT NOT NULL
) STRICT;
INSERT INTO "price" VALUES(1,'57d07646353131f7783f43744a718025d377df6d0b273ee0c7c598c9979a0b78','openai','gpt-5-mini','{"model": "gpt-5-mini", "provider": "openai", "rates": {"output": "15", "read": "1", "request": "0", "uncached": "3", "write_1h": null, "write_5m": "4"}, "source": "config", "v": 1}','config');
CREATE TABLE session (
  id            INTEGER PRIMARY KEY,
  code          TEXT NOT NULL UNIQUE,
  conversation  INTEGER NOT NULL REFERENCES conversation(id),
  owner         INTEGER REFERENCES person(id),
  state         TEXT NOT NULL DEFAULT 'open',
  close_reason  TEXT,
  reset_told    INTEGER,                    -- when the person was told that it was closed
  paused        INTEGER NOT NULL DEFAULT 0,
  origin        TEXT NOT NULL DEFAULT 'new',
  parent        INTEGER,
  fork_seq      INTEGER,
  triggered_by  TEXT,
  title         TEXT,
  summary       TEXT,
  system_prompt TEXT,
  model         TEXT,
  settings      TEXT NOT NULL DEFAULT '{"v":1}',
  message_count INTEGER NOT NULL DEFAULT 0,
  next_seq      INTEGER NOT NULL DEFAULT 0,
  next_turn     INTEGER NOT NULL DEFAULT 0,
  unread        INTEGER NOT NULL DEFAULT 0,
  created       INTEGER NOT NULL,
  last_person   INTEGER,
  last_active   INTEGER NOT NULL,
  closed        INTEGER,
  archived      INTEGER,
  deleted       INTEGER
) STRICT;
INSERT INTO "session" VALUES(1,'9PHQFRMWCQ',1,1,'closed','command',1795681405457596,0,'new',NULL,NULL,NULL,'m00001 short',NULL,NULL,NULL,'{"v":1}',2,3,1,0,1795681401229911,1795681401205724,1795681403728373,1795681405457596,NULL,NULL);
INSERT INTO "session" VALUES(2,'8S5X81RNEH',2,2,'open',NULL,NULL,0,'new',NULL,NULL,NULL,'m00002 tool',NULL,NULL,NULL,'{"v":1}',2,5,2,0,1795681401229955,1795681412973525,1795681412981603,NULL,NULL,NULL);
INSERT INTO "session" VALUES(3,'KZF9BHAB0A',1,1,'open',NULL,NULL,0,'new',NULL,NULL,NULL,'m00004 long',NULL,NULL,NULL,'{"v":1}',1,2,1,0,1795681405493760,1795681405492363,1795681406200538,NULL,NULL,NULL);
INSERT INTO "session" VALUES(4,'NSSB1KBAFQ',3,NULL,'open',NULL,NULL,0,'job',NULL,NULL,'hourly','hourly',NULL,NULL,NULL,'{"v":1}',1,2,1,1,1795681410126045,NULL,1795681412672508,NULL,NULL,NULL);
CREATE TABLE tag (
  session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  tag     TEXT NOT NULL,
  pos     INTEGER NOT NULL,
  PRIMARY KEY (session, tag)
) STRICT;
CREATE TABLE tool_call (
  id        INTEGER PRIMARY KEY,
  turn      INTEGER NOT NULL REFERENCES turn(id),
  step      INTEGER NOT NULL,
  call_id   TEXT NOT NULL,
  name      TEXT NOT NULL,
  effect    TEXT NOT NULL DEFAULT 'pure',
  args_hash TEXT NOT NULL,
  state     TEXT NOT NULL,                -- intent -> done, failed, unknown, denied, waiting
  is_error  INTEGER,
  started   INTEGER,
  ended     INTEGER,
  UNIQUE (turn, step, call_id)
) STRICT;
INSERT INTO "tool_call" VALUES(1,2,0,'call_2fb24a355edf4cac98a80390','note','effectful','fb0c584a398e84ad3aa9bfa40605f9896170c0d6ab4c783b9a0e4347f2e75ab2','done',0,1795681403718108,1795681403790299);
CREATE TABLE turn (
  id           INTEGER PRIMARY KEY,
  session      INTEGER NOT NULL REFERENCES session(id),
  n            INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  identity     INTEGER,                     -- who pays
  trigger      TEXT,
  job_run      INTEGER,
  parent       INTEGER,
  attempt      INTEGER NOT NULL DEFAULT 1,
  fence        INTEGER NOT NULL,
  model        TEXT,
  cancel_at    INTEGER,
  deadline     INTEGER,
  state        TEXT NOT NULL,             -- running, parked, done, failed, cancelled, dead
  error_kind   TEXT,
  error        TEXT,
  started      INTEGER NOT NULL,
  finished     INTEGER,
  UNIQUE (session, n)
) STRICT;
INSERT INTO "turn" VALUES(1,1,0,1,1,NULL,NULL,NULL,1,1,NULL,NULL,NULL,'done',NULL,NULL,1795681401229911,1795681403728373);
INSERT INTO "turn" VALUES(2,2,0,2,2,NULL,NULL,NULL,1,1,NULL,NULL,NULL,'done',NULL,NULL,1795681401229955,1795681404184066);
INSERT INTO "turn" VALUES(3,3,0,1,1,NULL,NULL,NULL,1,3,NULL,NULL,NULL,'done',NULL,NULL,1795681405493760,1795681406200538);
INSERT INTO "turn" VALUES(4,4,0,3,NULL,'hourly',1,NULL,1,1,NULL,NULL,NULL,'done',NULL,NULL,1795681410126045,1795681412672508);
INSERT INTO "turn" VALUES(5,2,1,2,2,NULL,NULL,NULL,1,2,NULL,NULL,NULL,'running',NULL,NULL,1795681412981603,NULL);
CREATE TABLE usage (
  id            INTEGER PRIMARY KEY,
  uid           TEXT NOT NULL UNIQUE,
  turn          INTEGER,
  step          INTEGER,
  attempt       INTEGER,
  session       INTEGER,
  conversation  INTEGER,
  identity      INTEGER,
  trigger       TEXT,
  purpose       TEXT NOT NULL,
  channel       TEXT NOT NULL,
  provider      TEXT NOT NULL,
  model_asked   TEXT NOT NULL,
  model         TEXT,
  provider_id   TEXT,
  state         TEXT NOT NULL,            -- open, known, estimated, failed
  tok_in        INTEGER NOT NULL DEFAULT 0, -- uncached input
  tok_read      INTEGER NOT NULL DEFAULT 0,
  tok_w5m       INTEGER NOT NULL DEFAULT 0,
  tok_w1h       INTEGER NOT NULL DEFAULT 0,
  tok_out       INTEGER NOT NULL DEFAULT 0,
  units         INTEGER,
  cost          INTEGER,                    -- NULL: price unknown, never 0 for that reason
  cost_state    TEXT NOT NULL DEFAULT 'unpriced',
  provider_cost INTEGER,
  price         INTEGER REFERENCES price(id),
  at            INTEGER NOT NULL,
  ended         INTEGER,
  UNIQUE (turn, step, attempt)
) STRICT;
INSERT INTO "usage" VALUES(1,'62df5321-8285-4b04-a7ee-99e8e580dda3',1,0,0,1,1,1,NULL,'chat','telegram','openai','gpt-5-mini','gpt-5-mini','chatcmpl-46560d500d964c65bb17b9eb','known',53,0,0,0,153,NULL,2454000,'priced',NULL,1,1795681403291446,1795681403727977);
INSERT INTO "usage" VALUES(2,'bf4e65ea-c9ac-4a74-9d7b-d5ec69d0e948',2,0,0,2,2,2,NULL,'chat','telegram','openai','gpt-5-mini','gpt-5-mini','chatcmpl-51125f4b443640d8b1fab504','known',49,0,0,0,6,NULL,237000,'priced',NULL,1,1795681403291670,1795681403712728);
INSERT INTO "usage" VALUES(3,'a66b3f82-9c40-4e72-a2e4-f79b928fcac0',2,1,0,2,2,2,NULL,'chat','telegram','openai','gpt-5-mini','gpt-5-mini','chatcmpl-bf4fa9c5ea7c4fc2a31e17d7','known',58,0,0,0,12,NULL,354000,'priced',NULL,1,1795681403795796,1795681404183664);
INSERT INTO "usage" VALUES(4,'eabd73af-1066-45ab-b9d4-6ac48082983a',3,0,0,3,1,1,NULL,'chat','telegram','openai','gpt-5-mini','gpt-5-mini','chatcmpl-34d1a103376e482bb277af10','known',49,0,0,0,1266,NULL,19137000,'priced',NULL,1,1795681405497425,1795681406200156);
INSERT INTO "usage" VALUES(5,'f98501ba-b3a4-4ea7-9557-aebdbf3e2f8d',4,0,0,4,3,NULL,'hourly','chat','job','openai','gpt-5-mini','gpt-5-mini','chatcmpl-519a82810c1f40a0b3dcd2db','known',50,0,0,0,5,NULL,225000,'priced',NULL,1,1795681412244358,1795681412672140);
INSERT INTO "usage" VALUES(6,'68f61628-25e5-4eaa-8c56-b4cd6814d97c',5,0,0,2,2,2,NULL,'chat','telegram','openai','gpt-5-mini',NULL,NULL,'open',1364,0,0,0,4096,NULL,NULL,'unpriced',NULL,NULL,1795681412988798,NULL);
CREATE INDEX session_recent ON session(last_active);
CREATE INDEX session_place ON session(conversation, last_active);
CREATE INDEX inbox_waiting ON inbox(conversation, id) WHERE state = 'waiting';
CREATE INDEX inbox_open ON inbox(state, id) WHERE state IN ('waiting', 'held', 'taken');
CREATE INDEX inbox_turn ON inbox(turn) WHERE turn IS NOT NULL;
CREATE UNIQUE INDEX turn_running ON turn(session) WHERE state = 'running';
CREATE INDEX turn_open ON turn(state) WHERE state IN ('running', 'parked');
CREATE INDEX usage_at ON usage(at);
CREATE INDEX usage_identity ON usage(identity, at);
CREATE INDEX usage_session ON usage(session);
CREATE INDEX usage_open ON usage(state) WHERE state = 'open';
CREATE VIEW turn_usage AS
  SELECT turn, session, count(*) AS requests, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read,
         sum(tok_w5m) AS tok_w5m, sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost,
         sum(CASE WHEN cost IS NULL AND state <> 'failed' THEN 1 ELSE 0 END) AS unpriced
    FROM usage WHERE turn IS NOT NULL GROUP BY turn, session;
CREATE INDEX outbox_open ON outbox(conversation, id) WHERE state IN ('ready', 'placing', 'placed', 'sending', 'unknown');
CREATE INDEX outbox_message ON outbox(conversation, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX job_due ON job(next_at) WHERE state = 'on';
COMMIT;
