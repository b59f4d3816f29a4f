-- Two databases of one Postgres: Dagster's records, and a study's: the catalogue of its DuckLake, and its replies.
--   psql -h HOST -U postgres -v password="'...'" -f deploy/databases.sql
-- Every further study needs a database of its own.
CREATE ROLE influence LOGIN PASSWORD :password;
CREATE DATABASE influence_records OWNER influence;
CREATE DATABASE influence_lake OWNER influence;
