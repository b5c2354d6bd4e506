CREATE TABLE meetings (
    id               TEXT    PRIMARY KEY NOT NULL,
    name             TEXT    NOT NULL,
    password_hash    TEXT,              -- PHC string, Argon2id; NULL: no password
    host_token_hash  BLOB    NOT NULL,  -- SHA-256 of a 256-bit random token
    max_participants INTEGER NOT NULL,
    next_participant INTEGER NOT NULL DEFAULT 1,
    created_at       INTEGER NOT NULL,  -- milliseconds since the Unix epoch
    ended_at         INTEGER            -- milliseconds since the Unix epoch; NULL: not over
) STRICT, WITHOUT ROWID;
