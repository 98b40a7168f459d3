-- v1 (readable by v1+): the durable core.
-- Times are microseconds UTC, money is nano-dollars, flags are 0/1, JSON is text with a version field "v".
-- {id} an integer key the database gives out; {int} a 64-bit integer; {strict} what follows a table's columns.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) {strict};

CREATE TABLE account (
  id          {id},
  channel     TEXT NOT NULL,
  platform_id TEXT NOT NULL,              -- the bot's own number, not its name in the config
  name        TEXT NOT NULL DEFAULT '',
  state       TEXT NOT NULL DEFAULT 'on',
  owner       TEXT,
  until       {int},
  fence       {int} NOT NULL DEFAULT 0,
  UNIQUE (channel, platform_id)
) {strict};

CREATE TABLE cursor (
  account {int} NOT NULL REFERENCES account(id),
  scope   TEXT NOT NULL,
  value   TEXT NOT NULL,
  PRIMARY KEY (account, scope)
) {strict};

CREATE TABLE person (
  id       {id},
  role     TEXT NOT NULL DEFAULT 'user',  -- owner, admin, user
  name     TEXT,
  lang     TEXT,
  zone     TEXT,
  settings TEXT NOT NULL DEFAULT '{{"v":1}}',
  created  {int} NOT NULL,
  erased   {int}
) {strict};

CREATE TABLE identity (
  id      {id},
  person  {int} REFERENCES person(id),    -- facts point at identities; /link changes only this
  channel TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name    TEXT NOT NULL DEFAULT '',
  lang    TEXT NOT NULL DEFAULT '',
  state   TEXT NOT NULL DEFAULT 'new',    -- new, allowed, blocked
  UNIQUE (channel, user_id)
) {strict};

CREATE TABLE conversation (
  id              {id},
  account         {int} NOT NULL REFERENCES account(id),
  chat_id         TEXT NOT NULL,
  thread_id       TEXT NOT NULL DEFAULT '',
  user_id         TEXT NOT NULL DEFAULT '',
  kind            TEXT NOT NULL,
  current_session {int} UNIQUE,
  settings        TEXT NOT NULL DEFAULT '{{"v":1}}',
  address         TEXT NOT NULL DEFAULT '',
  blocked         {int},
  owner           TEXT,                   -- the lease: who runs this conversation's turn
  until           {int},
  fence           {int} NOT NULL DEFAULT 0,
  UNIQUE (account, chat_id, thread_id, user_id)
) {strict};

CREATE TABLE session (
  id            {id},
  code          TEXT NOT NULL UNIQUE,
  conversation  {int} NOT NULL REFERENCES conversation(id),
  owner         {int} REFERENCES person(id),
  state         TEXT NOT NULL DEFAULT 'open',
  close_reason  TEXT,
  reset_told    {int},                    -- when the person was told that it was closed
  paused        {int} NOT NULL DEFAULT 0,
  origin        TEXT NOT NULL DEFAULT 'new',
  parent        {int},
  fork_seq      {int},
  triggered_by  TEXT,
  title         TEXT,
  summary       TEXT,
  system_prompt TEXT,
  model         TEXT,
  settings      TEXT NOT NULL DEFAULT '{{"v":1}}',
  message_count {int} NOT NULL DEFAULT 0,
  next_seq      {int} NOT NULL DEFAULT 0,
  next_turn     {int} NOT NULL DEFAULT 0,
  unread        {int} NOT NULL DEFAULT 0,
  created       {int} NOT NULL,
  last_person   {int},
  last_active   {int} NOT NULL,
  closed        {int},
  archived      {int},
  deleted       {int}
) {strict};
CREATE INDEX session_recent ON session(last_active);
CREATE INDEX session_place ON session(conversation, last_active);

CREATE TABLE tag (
  session {int} NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  tag     TEXT NOT NULL,
  pos     {int} NOT NULL,
  PRIMARY KEY (session, tag)
) {strict};

CREATE TABLE inbox (
  id           {id},
  account      {int} NOT NULL REFERENCES account(id),
  event_id     TEXT NOT NULL,
  kind         TEXT NOT NULL,
  lane         TEXT NOT NULL,             -- control, turn, note, dead
  conversation {int} REFERENCES conversation(id),
  identity     {int} REFERENCES identity(id),
  session      {int},                     -- must run here, whatever the rule says
  message_id   TEXT NOT NULL DEFAULT '',
  reply_to     TEXT NOT NULL DEFAULT '',
  album        TEXT NOT NULL DEFAULT '',
  trigger      TEXT,
  job_run      {int},
  raw          TEXT,
  body         TEXT NOT NULL DEFAULT '{{"v":1}}',
  received     {int} NOT NULL,
  sent         {int},
  not_before   {int} NOT NULL DEFAULT 0,
  state        TEXT NOT NULL,             -- waiting, held -> taken -> done, refused, dead, replaced
  turn         {int},
  attempts     {int} NOT NULL DEFAULT 0,
  error        TEXT,
  UNIQUE (account, event_id)
) {strict};
CREATE INDEX inbox_waiting ON inbox(conversation, id) WHERE state = 'waiting';
CREATE INDEX inbox_open ON inbox(state, id) WHERE state IN ('waiting', 'held', 'taken');
CREATE INDEX inbox_turn ON inbox(turn) WHERE turn IS NOT NULL;

CREATE TABLE turn (
  id           {id},
  session      {int} NOT NULL REFERENCES session(id),
  n            {int} NOT NULL,
  conversation {int} NOT NULL,
  identity     {int},                     -- who pays
  trigger      TEXT,
  job_run      {int},
  parent       {int},
  attempt      {int} NOT NULL DEFAULT 1,
  fence        {int} NOT NULL,
  model        TEXT,
  cancel_at    {int},
  deadline     {int},
  state        TEXT NOT NULL,             -- running, parked, done, failed, cancelled, dead
  error_kind   TEXT,
  error        TEXT,
  started      {int} NOT NULL,
  finished     {int},
  UNIQUE (session, n)
) {strict};
CREATE UNIQUE INDEX turn_running ON turn(session) WHERE state = 'running';
CREATE INDEX turn_open ON turn(state) WHERE state IN ('running', 'parked');

CREATE TABLE entry (
  session {int} NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  seq     {int} NOT NULL,
  turn    {int},
  kind    TEXT NOT NULL,                  -- user, assistant, results, note, summary, mark
  body    TEXT NOT NULL,
  created {int} NOT NULL,
  PRIMARY KEY (session, seq)
) {strict};

CREATE TABLE price (
  id       {id},
  hash     TEXT NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  model    TEXT NOT NULL,
  rates    TEXT NOT NULL,
  source   TEXT NOT NULL
) {strict};

CREATE TABLE usage (
  id            {id},
  uid           TEXT NOT NULL UNIQUE,
  turn          {int},
  step          {int},
  attempt       {int},
  session       {int},
  conversation  {int},
  identity      {int},
  trigger       TEXT,
  purpose       TEXT NOT NULL,
  channel       TEXT NOT NULL,
  provider      TEXT NOT NULL,
  model_asked   TEXT NOT NULL,
  model         TEXT,
  provider_id   TEXT,
  state         TEXT NOT NULL,            -- open, known, estimated, failed
  tok_in        {int} NOT NULL DEFAULT 0, -- uncached input
  tok_read      {int} NOT NULL DEFAULT 0,
  tok_w5m       {int} NOT NULL DEFAULT 0,
  tok_w1h       {int} NOT NULL DEFAULT 0,
  tok_out       {int} NOT NULL DEFAULT 0,
  units         {int},
  cost          {int},                    -- NULL: price unknown, never 0 for that reason
  cost_state    TEXT NOT NULL DEFAULT 'unpriced',
  provider_cost {int},
  price         {int} REFERENCES price(id),
  at            {int} NOT NULL,
  ended         {int},
  UNIQUE (turn, step, attempt)
) {strict};
CREATE INDEX usage_at ON usage(at);
CREATE INDEX usage_identity ON usage(identity, at);
CREATE INDEX usage_session ON usage(session);
CREATE INDEX usage_open ON usage(state) WHERE state = 'open';

CREATE VIEW turn_usage AS
  SELECT turn, session, count(*) AS requests, sum(tok_in) AS tok_in, sum(tok_read) AS tok_read,
         sum(tok_w5m) AS tok_w5m, sum(tok_w1h) AS tok_w1h, sum(tok_out) AS tok_out, sum(cost) AS cost,
         sum(CASE WHEN cost IS NULL AND state <> 'failed' THEN 1 ELSE 0 END) AS unpriced
    FROM usage WHERE turn IS NOT NULL GROUP BY turn, session;

CREATE TABLE tool_call (
  id        {id},
  turn      {int} NOT NULL REFERENCES turn(id),
  step      {int} NOT NULL,
  call_id   TEXT NOT NULL,
  name      TEXT NOT NULL,
  effect    TEXT NOT NULL DEFAULT 'pure',
  args_hash TEXT NOT NULL,
  state     TEXT NOT NULL,                -- intent -> done, failed, unknown, denied, waiting
  is_error  {int},
  started   {int},
  ended     {int},
  UNIQUE (turn, step, call_id)
) {strict};

CREATE TABLE compaction (
  id        {id},
  session   {int} NOT NULL REFERENCES session(id),
  entry_seq {int} NOT NULL,
  cause     TEXT NOT NULL,                -- manual, auto, overflow
  from_seq  {int} NOT NULL,
  to_seq    {int} NOT NULL,
  before    {int} NOT NULL,               -- tokens
  after     {int},
  usage_uid TEXT,
  state     TEXT NOT NULL DEFAULT 'on',
  created   {int} NOT NULL
) {strict};

CREATE TABLE outbox (
  id           {id},
  origin       TEXT NOT NULL,             -- turn:7, notice:…
  part         {int} NOT NULL,
  account      {int} NOT NULL REFERENCES account(id),
  conversation {int} NOT NULL REFERENCES conversation(id),
  session      {int},
  kind         TEXT NOT NULL,
  priority     {int} NOT NULL DEFAULT 0,
  payload      TEXT,                      -- emptied when sent
  nonce        TEXT NOT NULL,
  state        TEXT NOT NULL,             -- ready, placing, placed, sending, sent, unknown, dead
  message_id   TEXT,
  not_before   {int} NOT NULL DEFAULT 0,
  attempts     {int} NOT NULL DEFAULT 0,
  first_try    {int},
  sent         {int},
  error        TEXT,
  created      {int} NOT NULL,
  UNIQUE (origin, part)
) {strict};
CREATE INDEX outbox_open ON outbox(conversation, id) WHERE state IN ('ready', 'placing', 'placed', 'sending', 'unknown');
CREATE INDEX outbox_message ON outbox(conversation, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE button (
  token        TEXT PRIMARY KEY,
  action       TEXT NOT NULL,
  args         TEXT NOT NULL,
  conversation {int} NOT NULL REFERENCES conversation(id),
  for_person   {int},
  outbox       {int},
  expires      {int},
  used         {int}
) {strict};

CREATE TABLE job (
  id       {id},
  name     TEXT NOT NULL UNIQUE,
  kind     TEXT NOT NULL DEFAULT 'prompt',
  source   TEXT NOT NULL DEFAULT 'config',
  owner    {int} REFERENCES person(id),
  spec     TEXT NOT NULL,
  zone     TEXT NOT NULL,
  state    TEXT NOT NULL DEFAULT 'on',    -- on, paused, removed, disabled
  next_at  {int},
  failures {int} NOT NULL DEFAULT 0
) {strict};
CREATE INDEX job_due ON job(next_at) WHERE state = 'on';

CREATE TABLE job_run (
  id       {id},
  job      {int} NOT NULL REFERENCES job(id),
  planned  {int} NOT NULL,
  attempt  {int} NOT NULL DEFAULT 1,
  state    TEXT NOT NULL,                 -- waiting, running, done, failed, skipped
  delivery TEXT NOT NULL DEFAULT 'none',  -- none, waiting, sent, dead
  inbox    {int},
  session  {int},
  reason   TEXT,
  started  {int},
  ended    {int},
  UNIQUE (job, planned)
) {strict};
