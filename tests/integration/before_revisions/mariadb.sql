-- Dropcast's schema for MySQL 8 (>= 8.0.16, where CHECKs are enforced) and MariaDB (>= 10.6).
-- server/store/tables.py says the same in Python; a test loads both into a real server and finds no difference.
--
-- Ids are UUIDv7 as 32 hex digits, made by the app and rising with time: new rows are neighbours in the primary key.
-- Money is whole minor units; times are DATETIME(6) in UTC.
-- Locks are taken in one order everywhere: stock rows by (drop_id, variant_id), then the stream's row, then the rest.

-- Which database this is. `epoch` is the first half of every viewer's position: it changes only when the log of
-- events is another one (a new database, or one restored from a backup that lost events).
CREATE TABLE deployment (
  id TINYINT NOT NULL,
  epoch VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- one row, so that there is one epoch
  CONSTRAINT deployment_is_one_row CHECK (id = 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

CREATE TABLE users (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- lower case, as the app normalises it; NULL for accounts made for rehearsals, which cannot sign in
  email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  name VARCHAR(100) NOT NULL,
  role VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- argon2id; NULL: no password sign-in
  password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at DATETIME(6) NOT NULL,
  -- since when the user may not sign in; NULL: may
  disabled_at DATETIME(6) NULL,
  -- when role or disabled_at last changed
  changed_at DATETIME(6) NULL,
  PRIMARY KEY (id),
  -- serves sign-in, and keeps one account per address
  UNIQUE KEY users_email (email),
  -- serves the replicas, which ask once a second whose role changed
  KEY users_changed (changed_at),
  -- a role the app does not know would grant nobody knows what
  CONSTRAINT users_role_known CHECK (role IN ('viewer', 'host', 'admin'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- Who is signed in.
CREATE TABLE sessions (
  -- the first 128 bits of the SHA-256 of what the cookie says: who reads this table can sign in as nobody
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- for people: "Firefox on Linux"
  device VARCHAR(64) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  -- last use, noted every few minutes; two weeks without any end the session
  seen_at DATETIME(6) NOT NULL,
  -- its end, however much it is used
  ends_at DATETIME(6) NOT NULL,
  -- when it was ended by somebody; NULL: it was not
  revoked_at DATETIME(6) NULL,
  -- serves every request whose copy in Redis is gone
  PRIMARY KEY (id),
  -- serves a user's list of sessions, and ending them all
  KEY sessions_user (user_id),
  -- serves the replicas, which ask once a second what was revoked
  KEY sessions_revoked (revoked_at),
  CONSTRAINT sessions_user_known FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

CREATE TABLE products (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sku VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(200) NOT NULL,
  description TEXT NOT NULL,
  -- address of the picture, absolute or on our own origin
  image VARCHAR(500) NULL,
  price BIGINT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- serves look-up by SKU (hosts, imports), and keeps SKUs apart
  UNIQUE KEY products_sku (sku),
  -- no product pays its buyer
  CONSTRAINT products_price_not_negative CHECK (price >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

CREATE TABLE variants (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  product_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sku VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  label VARCHAR(100) NOT NULL,
  -- place in the product's list
  position INTEGER NOT NULL,
  -- goods ever received; `received = stock + what its drops hold or sold` is checked by `dropcast verify`
  received INTEGER NOT NULL,
  -- what can still be put on a drop
  stock INTEGER NOT NULL,
  PRIMARY KEY (id),
  -- keeps SKUs apart
  UNIQUE KEY variants_sku (sku),
  -- serves a product's list of variants in order
  UNIQUE KEY variants_product_position (product_id, position),
  CONSTRAINT variants_product FOREIGN KEY (product_id) REFERENCES products (id),
  -- more can never be on the shelf than was received, nor less than nothing
  CONSTRAINT variants_stock_within_received CHECK (stock >= 0 AND stock <= received)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

CREATE TABLE streams (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  slug VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(200) NOT NULL,
  status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  starts_at DATETIME(6) NULL,
  video VARCHAR(500) NULL,
  -- number of the stream's last event; counted up under this row's lock
  seq BIGINT NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- serves every page and socket, which name a stream by its slug
  UNIQUE KEY streams_slug (slug),
  -- serves the host's own list, newest first
  KEY streams_host (host_id, id),
  -- serves the list of live and coming streams
  KEY streams_status (status, id),
  CONSTRAINT streams_host_user FOREIGN KEY (host_id) REFERENCES users (id),
  -- the three states of a stream, and no other
  CONSTRAINT streams_status_known CHECK (status IN ('scheduled', 'live', 'ended')),
  -- events are numbered from 1; 0 is a stream without history
  CONSTRAINT streams_seq_counts CHECK (seq >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

CREATE TABLE drops (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  stream_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  product_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- title and picture as they were when the drop was put on the run sheet
  title VARCHAR(200) NOT NULL,
  image VARCHAR(500) NULL,
  price BIGINT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  viewer_limit INTEGER NOT NULL,
  opens_at DATETIME(6) NULL,
  closes_at DATETIME(6) NULL,
  status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- serves a stream's run sheet in the order it was made
  KEY drops_stream (stream_id, id),
  -- serves the question which drops are to open by themselves now
  KEY drops_opening (status, opens_at),
  -- serves the question which drops are to close by themselves now
  KEY drops_closing (status, closes_at),
  CONSTRAINT drops_stream_known FOREIGN KEY (stream_id) REFERENCES streams (id),
  CONSTRAINT drops_product FOREIGN KEY (product_id) REFERENCES products (id),
  -- the four states of a drop, and no other
  CONSTRAINT drops_status_known CHECK (status IN ('scheduled', 'open', 'sold_out', 'closed')),
  -- no drop pays its buyer
  CONSTRAINT drops_price_not_negative CHECK (price >= 0),
  -- a limit below one would sell to nobody
  CONSTRAINT drops_limit_positive CHECK (viewer_limit >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- The stock equation of every drop's variant: what was put in is left, held, sold or given back, at every COMMIT.
CREATE TABLE drop_stock (
  drop_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  variant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  label VARCHAR(100) NOT NULL,
  position INTEGER NOT NULL,
  put_in INTEGER NOT NULL,
  `left` INTEGER NOT NULL,
  held INTEGER NOT NULL,
  sold INTEGER NOT NULL,
  given_back INTEGER NOT NULL,
  -- rises with every change: the newest version of a stock line wins
  version BIGINT NOT NULL,
  -- also the order in which stock rows are locked
  PRIMARY KEY (drop_id, variant_id),
  -- serves `verify` and the admin's view of where a variant's units are
  KEY drop_stock_variant (variant_id),
  CONSTRAINT drop_stock_drop FOREIGN KEY (drop_id) REFERENCES drops (id),
  CONSTRAINT drop_stock_variant_known FOREIGN KEY (variant_id) REFERENCES variants (id),
  -- law 1: never oversold
  CONSTRAINT drop_stock_not_negative
    CHECK (`left` >= 0 AND held >= 0 AND sold >= 0 AND given_back >= 0),
  -- law 1: every unit put in is in exactly one place
  CONSTRAINT drop_stock_equation CHECK (put_in = `left` + held + sold + given_back)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- No foreign keys here: each would take a shared lock on a parent row per order in the rush. The drop's stock rows are
-- locked by the same transaction, a viewer is known by its session, and `dropcast verify` checks both.
CREATE TABLE orders (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  viewer_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ref VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  stream_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  drop_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  product_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  variant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(200) NOT NULL,
  quantity INTEGER NOT NULL,
  total BIGINT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  placed_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- law 1: one order per viewer and ref, whichever replica it reaches; serves the question "did I buy this?"
  UNIQUE KEY orders_viewer_ref (viewer_id, ref),
  -- serves the per-viewer limit inside the committing transaction, from the key alone, and `verify`
  KEY orders_drop_viewer (drop_id, viewer_id, quantity),
  -- serves a viewer's own orders, newest first
  KEY orders_viewer (viewer_id, id),
  -- refused orders are not stored: their receipt is the answer
  CONSTRAINT orders_status_known CHECK (status IN ('accepted')),
  -- an order for nothing, or for less, would give stock back
  CONSTRAINT orders_quantity_positive CHECK (quantity >= 1),
  -- no order pays its buyer
  CONSTRAINT orders_total_not_negative CHECK (total >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- The log: each stream's history, written in the transaction of the fact it tells.
CREATE TABLE events (
  stream_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at DATETIME(6) NOT NULL,
  -- the frame as every viewer gets it, byte for byte
  frame MEDIUMTEXT NOT NULL,
  -- serves resume: a stream's events after a position
  PRIMARY KEY (stream_id, seq),
  CONSTRAINT events_stream FOREIGN KEY (stream_id) REFERENCES streams (id),
  -- the first event is number 1: a position of 0 is before all of them
  CONSTRAINT events_seq_positive CHECK (seq >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- Who did what: host and admin commands, written in the transaction of the change.
CREATE TABLE audit (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at DATETIME(6) NOT NULL,
  -- NULL: the system itself
  actor_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  action VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail TEXT NOT NULL,
  -- the caller's own word for the command: the same one again is answered, not done again
  ref VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (id),
  -- keeps a repeated command from being done twice
  UNIQUE KEY audit_actor_ref (actor_id, ref),
  -- serves the history of one thing
  KEY audit_subject (subject_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;

-- Mails that wait to be sent; a row is deleted when its mail was taken or has expired.
CREATE TABLE mails (
  id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  purpose VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  address VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  -- what its code is made from, with a secret key that is not in the database; empty: no code
  nonce VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tries INTEGER NOT NULL,
  -- when it may be tried (again); a replica that carries it moves this ahead
  due_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  -- serves every replica's look for mails to carry, oldest first
  KEY mails_due (due_at, id),
  -- serves the removal of a person, whose mails go too
  KEY mails_address (address),
  -- a mail is tried from the first time on
  CONSTRAINT mails_tries_count CHECK (tries >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;
