-- v21 (readable by v21+): beginnings of four letters have an index as well, for longer ones the words that begin so are
-- looked up. The table of words is made anew, which takes some ten seconds a million messages.

DROP TABLE said;
CREATE VIRTUAL TABLE said USING fts5(text, content = '', tokenize = 'unicode61 remove_diacritics 2', prefix = '3 4');
-- Where each word is, in the order of words.
CREATE VIRTUAL TABLE said_word USING fts5vocab(said, instance);

INSERT INTO said (rowid, text)
  SELECT session * 16777216 + seq,
         CASE kind WHEN 'user' THEN json_extract(body, '$.text')
         ELSE (SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(body, '$.parts')) END
    FROM entry WHERE kind IN ('user', 'assistant') AND json_valid(body) ORDER BY session, seq;
INSERT INTO said (rowid, text)
  SELECT id * 16777216 + 16777215, title FROM session WHERE title IS NOT NULL ORDER BY id;
