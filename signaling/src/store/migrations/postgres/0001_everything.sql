CREATE TABLE meetings (
    id               TEXT   PRIMARY KEY,
    account          TEXT,                        -- whose API key made it; NULL: nobody's
    name             TEXT   NOT NULL,
    settings         TEXT   NOT NULL,             -- JSON, as it was written
    password_hash    TEXT,                        -- PHC string, Argon2id; NULL: no password
    host_token_hash  BYTEA  NOT NULL,             -- SHA-256 of a 256-bit random token
    starts_local     TEXT,                        -- civil date and time; NULL: instant
    time_zone        TEXT,                        -- IANA name that starts_local is in
    starts_at        BIGINT,                      -- the same in milliseconds since the Unix epoch
    duration_minutes BIGINT,
    next_participant BIGINT NOT NULL DEFAULT 1,
    created_at       BIGINT NOT NULL,             -- milliseconds since the Unix epoch, as all times here
    started_at       BIGINT,                      -- NULL: nobody was inside yet
    ended_at         BIGINT,                      -- NULL: not over
    version          BIGINT NOT NULL DEFAULT 1    -- grows with every update
);
CREATE INDEX meetings_by_age ON meetings (created_at, id);
CREATE INDEX meetings_by_account ON meetings (account, created_at, id);

-- Who owns a meeting that goes on, and by which fencing token.
CREATE TABLE ownership (
    meeting_id TEXT   PRIMARY KEY REFERENCES meetings (id),
    daemon     TEXT   NOT NULL,                   -- empty: given back
    fence      BIGINT NOT NULL,                   -- grows with every owner
    snapshot   TEXT                               -- JSON: what the next owner starts from
);
CREATE INDEX ownership_by_daemon ON ownership (daemon);

CREATE TABLE recording_marks (
    meeting_id TEXT   NOT NULL REFERENCES meetings (id),
    seq        BIGINT NOT NULL,                   -- 1, 2, 3 within the meeting
    kind       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (meeting_id, seq)
);

CREATE TABLE attendance (
    meeting_id   TEXT   NOT NULL REFERENCES meetings (id),
    participant  BIGINT NOT NULL,
    identity     TEXT,                            -- of the account system that issued the token; NULL: a guest
    display_name TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    joined_at    BIGINT NOT NULL,
    left_at      BIGINT,                          -- NULL: inside
    left_reason  TEXT,
    PRIMARY KEY (meeting_id, participant)
);

CREATE TABLE messages (
    meeting_id TEXT   NOT NULL REFERENCES meetings (id),
    fence      BIGINT NOT NULL,                   -- of the owner that gave the number
    seq        BIGINT NOT NULL,                   -- rising within the owner
    body       TEXT   NOT NULL,                   -- JSON
    at         BIGINT NOT NULL,
    PRIMARY KEY (meeting_id, fence, seq)
);

CREATE TABLE audit (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account    TEXT,
    meeting_id TEXT,
    actor      TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    detail     TEXT   NOT NULL,                   -- JSON
    at         BIGINT NOT NULL
);
CREATE INDEX audit_by_meeting ON audit (meeting_id, id);

CREATE TABLE api_keys (
    id         TEXT   PRIMARY KEY,
    account    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    key_hash   BYTEA  NOT NULL,                   -- SHA-256 of a 256-bit random secret
    scopes     TEXT   NOT NULL,                   -- words with spaces between
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Names of the keys that sign access tokens, never the keys.
CREATE TABLE signing_keys (
    kid        TEXT   PRIMARY KEY,
    algorithm  TEXT   NOT NULL,
    added_at   BIGINT NOT NULL,
    retired_at BIGINT
);
