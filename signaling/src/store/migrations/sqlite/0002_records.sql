ALTER TABLE meetings ADD COLUMN account          TEXT;                       -- whose API key made it; NULL: nobody's
ALTER TABLE meetings ADD COLUMN settings         TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE meetings ADD COLUMN starts_local     TEXT;                       -- civil date and time; NULL: instant
ALTER TABLE meetings ADD COLUMN time_zone        TEXT;                       -- IANA name that starts_local is in
ALTER TABLE meetings ADD COLUMN starts_at        INTEGER;                    -- the same in milliseconds since the Unix epoch
ALTER TABLE meetings ADD COLUMN duration_minutes INTEGER;
ALTER TABLE meetings ADD COLUMN started_at       INTEGER;                    -- milliseconds since the Unix epoch; NULL: nobody was inside yet
ALTER TABLE meetings ADD COLUMN version          INTEGER NOT NULL DEFAULT 1; -- grows with every update
UPDATE meetings SET settings = json_object('max_participants', max_participants);
ALTER TABLE meetings DROP COLUMN max_participants;
CREATE INDEX meetings_by_age ON meetings (created_at, id);
CREATE INDEX meetings_by_account ON meetings (account, created_at, id);

-- Who owns a meeting that goes on, and by which fencing token.
CREATE TABLE ownership (
    meeting_id TEXT    PRIMARY KEY NOT NULL REFERENCES meetings (id),
    daemon     TEXT    NOT NULL,            -- empty: given back
    fence      INTEGER NOT NULL,            -- grows with every owner
    snapshot   TEXT                         -- JSON: what the next owner starts from
) STRICT, WITHOUT ROWID;
CREATE INDEX ownership_by_daemon ON ownership (daemon);

CREATE TABLE recording_marks (
    meeting_id TEXT    NOT NULL REFERENCES meetings (id),
    seq        INTEGER NOT NULL,            -- 1, 2, 3 within the meeting
    kind       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (meeting_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE attendance (
    meeting_id   TEXT    NOT NULL REFERENCES meetings (id),
    participant  INTEGER NOT NULL,
    identity     TEXT,                      -- of the account system that issued the token; NULL: a guest
    display_name TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    joined_at    INTEGER NOT NULL,
    left_at      INTEGER,                   -- NULL: inside
    left_reason  TEXT,
    PRIMARY KEY (meeting_id, participant)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    meeting_id TEXT    NOT NULL REFERENCES meetings (id),
    fence      INTEGER NOT NULL,            -- of the owner that gave the number
    seq        INTEGER NOT NULL,            -- rising within the owner
    body       TEXT    NOT NULL,            -- JSON
    at         INTEGER NOT NULL,
    PRIMARY KEY (meeting_id, fence, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT,
    meeting_id TEXT,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    detail     TEXT    NOT NULL,            -- JSON
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_by_meeting ON audit (meeting_id, id);

CREATE TABLE api_keys (
    id         TEXT    PRIMARY KEY NOT NULL,
    account    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    key_hash   BLOB    NOT NULL,            -- SHA-256 of a 256-bit random secret
    scopes     TEXT    NOT NULL,            -- words with spaces between
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Names of the keys that sign access tokens, never the keys.
CREATE TABLE signing_keys (
    kid        TEXT    PRIMARY KEY NOT NULL,
    algorithm  TEXT    NOT NULL,
    added_at   INTEGER NOT NULL,
    retired_at INTEGER
) STRICT, WITHOUT ROWID;
