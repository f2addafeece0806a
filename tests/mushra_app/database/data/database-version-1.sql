BEGIN TRANSACTION;
CREATE TABLE listener (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	started DOUBLE NOT NULL, 
	seen DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "listener" VALUES(1,'ada',1.79524402372643876076e+09,1.79524402374880814557e+09);
INSERT INTO "listener" VALUES(2,'bob',1.79524402375280404085e+09,1.79524402375740742675e+09);
CREATE TABLE rating (
	trial_id INTEGER NOT NULL, 
	condition VARCHAR NOT NULL, 
	score INTEGER NOT NULL, 
	comment VARCHAR NOT NULL, 
	PRIMARY KEY (trial_id, condition), 
	CHECK (score BETWEEN 0 AND 100), 
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "rating" VALUES(1,'mp3@64',10,'näselnd');
INSERT INTO "rating" VALUES(1,'anchor@3.5k',20,'');
INSERT INTO "rating" VALUES(1,'hidden-original',30,'');
INSERT INTO "rating" VALUES(1,'opus@6',40,'');
INSERT INTO "rating" VALUES(2,'anchor@3.5k',11,'näselnd');
INSERT INTO "rating" VALUES(2,'opus@6',21,'');
INSERT INTO "rating" VALUES(2,'hidden-original',31,'');
INSERT INTO "rating" VALUES(2,'mp3@64',41,'');
INSERT INTO "rating" VALUES(3,'hidden-original',12,'näselnd');
INSERT INTO "rating" VALUES(3,'anchor@3.5k',22,'');
INSERT INTO "rating" VALUES(3,'opus@6',32,'');
INSERT INTO "rating" VALUES(3,'mp3@64',42,'');
INSERT INTO "rating" VALUES(4,'opus@6',50,'');
INSERT INTO "rating" VALUES(4,'anchor@3.5k',50,'');
INSERT INTO "rating" VALUES(4,'hidden-original',50,'');
INSERT INTO "rating" VALUES(4,'mp3@64',50,'');
CREATE TABLE setting (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "setting" VALUES('schema_version','1');
INSERT INTO "setting" VALUES('study','b45ff851b16d90f05008e5162d42d97cd5fb9a8b648f797ccd331ed8de7101b2');
INSERT INTO "setting" VALUES('secret_key','-rSDC27JawLoS6SETjyqG8l5vcY05Eu73_G7VAbkynw');
CREATE TABLE stimulus (
	token VARCHAR NOT NULL, 
	trial_id INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	condition VARCHAR NOT NULL, 
	PRIMARY KEY (token), 
	UNIQUE (trial_id, place), 
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "stimulus" VALUES('SiFowL2vOW4c5EzuKw2q-Q',1,0,'hidden-original');
INSERT INTO "stimulus" VALUES('vNTdpFpQqe1hPgkSb31EfA',1,1,'mp3@64');
INSERT INTO "stimulus" VALUES('gWAw8s4LKVo8kwcCsfqEjg',1,2,'anchor@3.5k');
INSERT INTO "stimulus" VALUES('3p0AmLui4K51DuKi2d7VIQ',1,3,'hidden-original');
INSERT INTO "stimulus" VALUES('q3nSqVwwHd70BsmGKKOASg',1,4,'opus@6');
INSERT INTO "stimulus" VALUES('P3KmaTDxCc-XUjw8c8Pd-Q',2,0,'hidden-original');
INSERT INTO "stimulus" VALUES('9aMSosOh5QRI7kSFIlQJ2g',2,1,'anchor@3.5k');
INSERT INTO "stimulus" VALUES('U8ldKN2NKGdFQ53aJcn5Sg',2,2,'opus@6');
INSERT INTO "stimulus" VALUES('qDEj_cHb2nJ3DQ0WmtU99g',2,3,'hidden-original');
INSERT INTO "stimulus" VALUES('Nr2Ovn_A9x-AGkzs_d9SAw',2,4,'mp3@64');
INSERT INTO "stimulus" VALUES('vsdQc6WyhnMl_oBPVdBv-w',3,0,'hidden-original');
INSERT INTO "stimulus" VALUES('khmTaHSVATp_zSMzke_IMw',3,1,'hidden-original');
INSERT INTO "stimulus" VALUES('unvm_AXTbPG9qtKjwUFLng',3,2,'anchor@3.5k');
INSERT INTO "stimulus" VALUES('N0aT0MZNEJKf_jzG8_6w4w',3,3,'opus@6');
INSERT INTO "stimulus" VALUES('1YKDLDTcUPwYlZdOUcHhLQ',3,4,'mp3@64');
INSERT INTO "stimulus" VALUES('j94npGVtD999_93CHWbGiA',4,0,'hidden-original');
INSERT INTO "stimulus" VALUES('RywuaTsjOplr8GAsdyrVIw',4,1,'opus@6');
INSERT INTO "stimulus" VALUES('e_dHsQ16-9gWhX4Zd6Je8g',4,2,'anchor@3.5k');
INSERT INTO "stimulus" VALUES('MjTSKjLp9QMF5MUjvrMm0A',4,3,'hidden-original');
INSERT INTO "stimulus" VALUES('HJK76otvAR6xyh5m9udbKQ',4,4,'mp3@64');
INSERT INTO "stimulus" VALUES('lhm4aPG7cgz7cZWbhnEbzg',5,0,'hidden-original');
INSERT INTO "stimulus" VALUES('yghnHa5NF30fM-dmyhVsSg',5,1,'mp3@64');
INSERT INTO "stimulus" VALUES('9Q_wk3PRwPgDKkKGas8HdQ',5,2,'anchor@3.5k');
INSERT INTO "stimulus" VALUES('JpTZlJWiq4PCxCHJtGax5Q',5,3,'hidden-original');
INSERT INTO "stimulus" VALUES('cGcSydlsBfOuO0v9YaCz_g',5,4,'opus@6');
INSERT INTO "stimulus" VALUES('kKHaJUe5VOUqabbIjXxLmg',6,0,'hidden-original');
INSERT INTO "stimulus" VALUES('3ll9P740Kt1q9nm91Byn4Q',6,1,'opus@6');
INSERT INTO "stimulus" VALUES('bNiQie8-FY2WrJFpqr26aQ',6,2,'mp3@64');
INSERT INTO "stimulus" VALUES('7OtkGVKhtaLU8oeGeXHIzQ',6,3,'hidden-original');
INSERT INTO "stimulus" VALUES('wx0FeEp9IBv-XOaSiqFJnw',6,4,'anchor@3.5k');
CREATE TABLE trial (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	listener_id INTEGER NOT NULL, 
	item VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	seconds DOUBLE, 
	submitted DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (listener_id, item), 
	UNIQUE (listener_id, position), 
	UNIQUE ("key"), 
	FOREIGN KEY(listener_id) REFERENCES listener (id)
);
INSERT INTO "trial" VALUES(1,'xSHknn2yj3er44v87Gio8A',1,'musical-001',1,12.5,1.79524402373465967182e+09);
INSERT INTO "trial" VALUES(2,'QU2BuPtrTE2JMK_xdHkyOA',1,'speechlike-002',2,12.5,1.79524402374499511721e+09);
INSERT INTO "trial" VALUES(3,'duaS-oFn5NMeRZy49PE9nQ',1,'musical-003',3,12.5,1.79524402374880814557e+09);
INSERT INTO "trial" VALUES(4,'NdP8nd-tCsI27oZd4ID7Ew',2,'musical-003',1,3.0,1.79524402375740742675e+09);
INSERT INTO "trial" VALUES(5,'aHMrBhKbhhGVM0S4NcT2RQ',2,'speechlike-002',2,NULL,NULL);
INSERT INTO "trial" VALUES(6,'VncgRLlO_iki7qgOl23PYg',2,'speechlike-000',3,NULL,NULL);
CREATE INDEX ix_listener_seen ON listener (seen);
CREATE INDEX ix_trial_item ON trial (item);
COMMIT;
