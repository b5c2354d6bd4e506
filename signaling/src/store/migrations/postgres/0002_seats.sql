ALTER TABLE attendance ADD COLUMN seat TEXT;                       -- JSON: what the next owner needs to go on with who is inside
ALTER TABLE ownership ADD COLUMN batch BIGINT NOT NULL DEFAULT 0;  -- the last numbered commit of the owner
