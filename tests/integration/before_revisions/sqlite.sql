-- What `dropcast init-db` made of SQLite before there were revisions, as SQLite tells it.

CREATE TABLE deployment (
  id SMALLINT NOT NULL,
  epoch VARCHAR(16) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT deployment_is_one_row CHECK (id = 1)
);

CREATE TABLE users (
  id CHAR(32) NOT NULL,
  email VARCHAR(254),
  name VARCHAR(100) NOT NULL,
  role VARCHAR(16) NOT NULL,
  password_hash VARCHAR(255),
  created_at DATETIME NOT NULL,
  disabled_at DATETIME,
  changed_at DATETIME,
  PRIMARY KEY (id),
  CONSTRAINT users_email UNIQUE (email),
  CONSTRAINT users_role_known CHECK (role IN ('viewer', 'host', 'admin'))
);

CREATE INDEX users_changed ON users (changed_at);

CREATE TABLE products (
  id CHAR(32) NOT NULL,
  sku VARCHAR(64) NOT NULL,
  title VARCHAR(200) NOT NULL,
  description TEXT NOT NULL,
  image VARCHAR(500),
  price BIGINT NOT NULL,
  currency CHAR(3) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT products_sku UNIQUE (sku),
  CONSTRAINT products_price_not_negative CHECK (price >= 0)
);

CREATE TABLE orders (
  id CHAR(32) NOT NULL,
  viewer_id CHAR(32) NOT NULL,
  ref VARCHAR(64) NOT NULL,
  stream_id CHAR(32) NOT NULL,
  drop_id CHAR(32) NOT NULL,
  product_id CHAR(32) NOT NULL,
  variant_id CHAR(32) NOT NULL,
  title VARCHAR(200) NOT NULL,
  quantity INTEGER NOT NULL,
  total BIGINT NOT NULL,
  currency CHAR(3) NOT NULL,
  status VARCHAR(16) NOT NULL,
  placed_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT orders_viewer_ref UNIQUE (viewer_id, ref),
  CONSTRAINT orders_status_known CHECK (status IN ('accepted')),
  CONSTRAINT orders_quantity_positive CHECK (quantity >= 1),
  CONSTRAINT orders_total_not_negative CHECK (total >= 0)
);

CREATE INDEX orders_viewer ON orders (viewer_id, id);

CREATE INDEX orders_drop_viewer ON orders (drop_id, viewer_id, quantity);

CREATE TABLE audit (
  id CHAR(32) NOT NULL,
  at DATETIME NOT NULL,
  actor_id CHAR(32),
  action VARCHAR(64) NOT NULL,
  subject_id CHAR(32) NOT NULL,
  detail TEXT NOT NULL,
  ref VARCHAR(64),
  PRIMARY KEY (id),
  CONSTRAINT audit_actor_ref UNIQUE (actor_id, ref)
);

CREATE INDEX audit_subject ON audit (subject_id, id);

CREATE TABLE mails (
  id CHAR(32) NOT NULL,
  purpose VARCHAR(16) NOT NULL,
  address VARCHAR(254) NOT NULL,
  nonce VARCHAR(64) NOT NULL,
  tries INTEGER NOT NULL,
  due_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT mails_tries_count CHECK (tries >= 0)
);

CREATE INDEX mails_address ON mails (address);

CREATE INDEX mails_due ON mails (due_at, id);

CREATE TABLE sessions (
  id CHAR(32) NOT NULL,
  user_id CHAR(32) NOT NULL,
  device VARCHAR(64) NOT NULL,
  created_at DATETIME NOT NULL,
  seen_at DATETIME NOT NULL,
  ends_at DATETIME NOT NULL,
  revoked_at DATETIME,
  PRIMARY KEY (id),
  CONSTRAINT sessions_user_known FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX sessions_revoked ON sessions (revoked_at);

CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE variants (
  id CHAR(32) NOT NULL,
  product_id CHAR(32) NOT NULL,
  sku VARCHAR(64) NOT NULL,
  label VARCHAR(100) NOT NULL,
  position INTEGER NOT NULL,
  received INTEGER NOT NULL,
  stock INTEGER NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT variants_sku UNIQUE (sku),
  CONSTRAINT variants_product_position UNIQUE (product_id, position),
  CONSTRAINT variants_product FOREIGN KEY(product_id) REFERENCES products (id),
  CONSTRAINT variants_stock_within_received CHECK (stock >= 0 AND stock <= received)
);

CREATE TABLE streams (
  id CHAR(32) NOT NULL,
  slug VARCHAR(64) NOT NULL,
  host_id CHAR(32) NOT NULL,
  title VARCHAR(200) NOT NULL,
  status VARCHAR(16) NOT NULL,
  starts_at DATETIME,
  video VARCHAR(500),
  seq BIGINT NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT streams_slug UNIQUE (slug),
  CONSTRAINT streams_host_user FOREIGN KEY(host_id) REFERENCES users (id),
  CONSTRAINT streams_status_known CHECK (status IN ('scheduled', 'live', 'ended')),
  CONSTRAINT streams_seq_counts CHECK (seq >= 0)
);

CREATE INDEX streams_status ON streams (status, id);

CREATE INDEX streams_host ON streams (host_id, id);

CREATE TABLE drops (
  id CHAR(32) NOT NULL,
  stream_id CHAR(32) NOT NULL,
  product_id CHAR(32) NOT NULL,
  title VARCHAR(200) NOT NULL,
  image VARCHAR(500),
  price BIGINT NOT NULL,
  currency CHAR(3) NOT NULL,
  viewer_limit INTEGER NOT NULL,
  opens_at DATETIME,
  closes_at DATETIME,
  status VARCHAR(16) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT drops_stream_known FOREIGN KEY(stream_id) REFERENCES streams (id),
  CONSTRAINT drops_product FOREIGN KEY(product_id) REFERENCES products (id),
  CONSTRAINT drops_status_known CHECK (status IN ('scheduled', 'open', 'sold_out', 'closed')),
  CONSTRAINT drops_price_not_negative CHECK (price >= 0),
  CONSTRAINT drops_limit_positive CHECK (viewer_limit >= 1)
);

CREATE INDEX drops_opening ON drops (status, opens_at);

CREATE INDEX drops_closing ON drops (status, closes_at);

CREATE INDEX drops_stream ON drops (stream_id, id);

CREATE TABLE events (
  stream_id CHAR(32) NOT NULL,
  seq BIGINT NOT NULL,
  kind VARCHAR(32) NOT NULL,
  at DATETIME NOT NULL,
  frame TEXT NOT NULL,
  PRIMARY KEY (stream_id, seq),
  CONSTRAINT events_stream FOREIGN KEY(stream_id) REFERENCES streams (id),
  CONSTRAINT events_seq_positive CHECK (seq >= 1)
);

CREATE TABLE drop_stock (
  drop_id CHAR(32) NOT NULL,
  variant_id CHAR(32) NOT NULL,
  label VARCHAR(100) NOT NULL,
  position INTEGER NOT NULL,
  put_in INTEGER NOT NULL,
  "left" INTEGER NOT NULL,
  held INTEGER NOT NULL,
  sold INTEGER NOT NULL,
  given_back INTEGER NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (drop_id, variant_id),
  CONSTRAINT drop_stock_drop FOREIGN KEY(drop_id) REFERENCES drops (id),
  CONSTRAINT drop_stock_variant_known FOREIGN KEY(variant_id) REFERENCES variants (id),
  CONSTRAINT drop_stock_not_negative CHECK (`left` >= 0 AND held >= 0 AND sold >= 0 AND given_back >= 0),
  CONSTRAINT drop_stock_equation CHECK (put_in = `left` + held + sold + given_back)
);

CREATE INDEX drop_stock_variant ON drop_stock (variant_id);
