BEGIN TRANSACTION;
CREATE TABLE admin_session (
	"key" VARCHAR NOT NULL, 
	form_token VARCHAR NOT NULL, 
	expires DOUBLE NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE admitted (
	person VARCHAR NOT NULL, 
	time DOUBLE NOT NULL, 
	PRIMARY KEY (person)
);
CREATE TABLE failed_sign_in (
	id INTEGER NOT NULL, 
	address VARCHAR NOT NULL, 
	time DOUBLE NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE listener (
	id INTEGER NOT NULL, 
	label VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	started DOUBLE NOT NULL, 
	seen DOUBLE NOT NULL, 
	begun DOUBLE, 
	progress DOUBLE NOT NULL, 
	lease_until DOUBLE NOT NULL, 
	address VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	person VARCHAR, 
	visit VARCHAR, 
	arrival VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	excluded VARCHAR NOT NULL, 
	excluded_by VARCHAR NOT NULL, 
	judged DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (source, person, visit), 
	UNIQUE (label), 
	UNIQUE ("key")
);
INSERT INTO "listener" VALUES(1,'L0001-a4427b','0meyHySLfReDgxU1VQdUCA',1.79603728738543844218e+09,1.7960372879843556881e+09,1796037287.69787,1.7960372879843556881e+09,1.79604088798435568806e+09,'','anonymous',NULL,NULL,'{}','active','','',NULL);
CREATE TABLE rating (
	trial_id INTEGER NOT NULL, 
	condition VARCHAR NOT NULL, 
	score INTEGER NOT NULL, 
	comment VARCHAR NOT NULL, 
	PRIMARY KEY (trial_id, condition), 
	CHECK (score BETWEEN 0 AND 100), 
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "rating" VALUES(1,'hidden-original',50,'');
INSERT INTO "rating" VALUES(1,'anchor@3.5k',51,'');
INSERT INTO "rating" VALUES(1,'opus@6',52,'');
INSERT INTO "rating" VALUES(1,'mp3@64',53,'');
CREATE TABLE setting (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "setting" VALUES('schema_version','3');
INSERT INTO "setting" VALUES('study','b45ff851b16d90f05008e5162d42d97cd5fb9a8b648f797ccd331ed8de7101b2');
INSERT INTO "setting" VALUES('secret_key','-SJgfaTHTu5Rh4jUAIhXqdaaVMmhVh_R9jlZt8qZcDs');
INSERT INTO "setting" VALUES('study_id','a4427b');
INSERT INTO "setting" VALUES('last_listener','1');
INSERT INTO "setting" VALUES('stimuli','{"speechlike-000": {"anchor@3.5k": "57dd69d096e21e6f32cd7e7ac9062b5378858dfe1501fa7ab0c10a76df481244", "hidden-original": "915064d68a6f5aa4d36597071337312d427c5be3db98f6a7847896fb21fd0658", "mp3@64": "67015e9bf253b4811517765a21a43461620838e70dacad29f849b55e2f03e8c1", "opus@6": "ff9a59c205096e742d2cdc9ca4674e50e620839da72f5f4fb0fb5b86423993fe"}, "musical-001": {"anchor@3.5k": "a21890410eb30efa3ef7b626897718b05a7e5e4699372c26e00f685a85699a67", "hidden-original": "723bef34fd1ec77e613b2f277f2318c4c0cd196cd075d2f6ff700b449c1f6766", "mp3@64": "5f253acc731c0245351bc3a3baa7964edc51268cdff4ff3dd28426d3516e11fc", "opus@6": "5b2464ddb6da3718b201c70b430faab687e7cc681a1c4ed313f4b971fd036aeb"}, "speechlike-002": {"anchor@3.5k": "4d066d5e44cd1dac225ef951a964061fb72a665e2a7c1e961882d4bf1c247f47", "hidden-original": "71ded85c68cb29977eee94416eb30e98be774814e522636e1e25471bf82e205e", "mp3@64": "1e705f2054e0b17adc45e3303dde226440fb236cda0677424c6e67abf5759f7a", "opus@6": "42b5367960353bf79b21925d9bad52c64281f838c8da598e1cbcbcaedb508f2f"}, "musical-003": {"anchor@3.5k": "98b2e2058fd0bc5b664dc58c2f9b64271a5a6432c20c271437ea30ef6b3d337f", "hidden-original": "9462e6823bfe4fda3630fe870fbf444b96d1c2d6e2dd2182651029e1859d4f3b", "mp3@64": "d491fcb5b70a24c470d79ca3246d1b4f8d536c5cd8448f1f6f8eaf226b3e0b4f", "opus@6": "616356fda9182917b372a910f5422a2c481a6cd34cdbb5ef2c8529e495e2c3d5"}}');
INSERT INTO "setting" VALUES('study_version','fa202c94586d');
INSERT INTO "setting" VALUES('rule','none');
CREATE TABLE step (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	listener_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	settings VARCHAR NOT NULL, 
	trial_id INTEGER, 
	done DOUBLE, 
	answer VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (listener_id, position), 
	UNIQUE ("key"), 
	FOREIGN KEY(listener_id) REFERENCES listener (id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "step" VALUES(1,'1UujkPsfXVwN4dSSvDiD1g',1,1,'volume','{}',NULL,1.79603728764604163173e+09,NULL);
INSERT INTO "step" VALUES(2,'GNExu0zsg68TAqHEQc6gxw',1,2,'trial','{}',1,1.7960372879843556881e+09,NULL);
INSERT INTO "step" VALUES(3,'tMtb_HcBe4-vf-Y6hYE3cg',1,3,'trial','{}',2,NULL,NULL);
INSERT INTO "step" VALUES(4,'vYHsKNH4a1OxsM_SJnDDVA',1,4,'trial','{}',3,NULL,NULL);
CREATE TABLE stimulus (
	token VARCHAR NOT NULL, 
	trial_id INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	condition VARCHAR NOT NULL, 
	fetched DOUBLE, 
	PRIMARY KEY (token), 
	UNIQUE (trial_id, place), 
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "stimulus" VALUES('LAh_K21VivfYxBFXa0iiHA',1,0,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('ejNWiQeqvVltO_tdJyCfcg',1,1,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('ckiumr7jfSFdzhosWX_BJQ',1,2,'anchor@3.5k',NULL);
INSERT INTO "stimulus" VALUES('rw-uE3V5j2v7-FzQ4YHskw',1,3,'opus@6',NULL);
INSERT INTO "stimulus" VALUES('QwxBrq0xYelUcJ2JE6eAXQ',1,4,'mp3@64',NULL);
INSERT INTO "stimulus" VALUES('gztjwWgthUfWwyNjAOCtCQ',2,0,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('3blZDKwFcA_oG-YNppBeHg',2,1,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('O8QC_lCI-EzVnfdsxBj0Og',2,2,'anchor@3.5k',NULL);
INSERT INTO "stimulus" VALUES('IaOZJpLJeshOjyi5-rmXjw',2,3,'opus@6',NULL);
INSERT INTO "stimulus" VALUES('qICBUncRVhq1KdF5Sqr-Zw',2,4,'mp3@64',NULL);
INSERT INTO "stimulus" VALUES('oG_zbpGSqeaLK4EJpNklLQ',3,0,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('XAyLyW16NiHe7UOjQ7rAFw',3,1,'mp3@64',NULL);
INSERT INTO "stimulus" VALUES('IkYRcUYDxhJqpm5VhpwxYQ',3,2,'anchor@3.5k',NULL);
INSERT INTO "stimulus" VALUES('GQQJ6G7mUmoq-YVIYiPlRg',3,3,'hidden-original',NULL);
INSERT INTO "stimulus" VALUES('F2A7AqhS8PKuggX5HIb1EQ',3,4,'opus@6',NULL);
CREATE TABLE trial (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	listener_id INTEGER NOT NULL, 
	purpose VARCHAR NOT NULL, 
	item VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	seconds DOUBLE, 
	served DOUBLE, 
	submitted DOUBLE, 
	retired DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (listener_id, purpose, item), 
	UNIQUE (listener_id, purpose, position), 
	UNIQUE ("key"), 
	FOREIGN KEY(listener_id) REFERENCES listener (id)
);
INSERT INTO "trial" VALUES(1,'q7fPE7kw2XNsGV2O2dPFDA',1,'rating','speechlike-000',1,12.5,1.79603728778156328206e+09,1.7960372879843556881e+09,NULL);
INSERT INTO "trial" VALUES(2,'yyFH6F_I7HNHmTMHDgeoSA',1,'rating','musical-001',2,NULL,1.79603728804202079777e+09,NULL,NULL);
INSERT INTO "trial" VALUES(3,'bmSJ8J927SeYeDE8H2TP2A',1,'rating','speechlike-002',3,NULL,NULL,NULL,NULL);
CREATE INDEX ix_listener_address ON listener (address);
CREATE INDEX ix_failed_sign_in_time ON failed_sign_in (time);
CREATE INDEX ix_trial_item ON trial (item);
COMMIT;
