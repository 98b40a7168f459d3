-- v13 (readable by v13+): keys of the HTTP API. Of the secret only a hash is kept.

CREATE TABLE api_key (
  id       {id},
  prefix   TEXT NOT NULL UNIQUE,                -- what it is called by; the beginning of the secret
  hash     TEXT NOT NULL,                       -- SHA-256 of the whole secret, in hex
  name     TEXT NOT NULL,                       -- what it is for, in its maker's words
  identity {int} NOT NULL REFERENCES identity(id), -- whose it is
  scope    TEXT NOT NULL,                       -- read, operate, admin
  created  {int} NOT NULL,
  expires  {int},
  revoked  {int},
  used     {int}                                -- to the minute
) {strict};
