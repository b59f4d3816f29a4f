-- Two databases of one Postgres: Dagster's records, and the catalogue of a study's DuckLake.
--   psql -h HOST -U postgres -v password="'...'" -f deploy/databases.sql
-- Every further study needs a database of its own for its lake.
CREATE ROLE influence LOGIN PASSWORD :password;
CREATE DATABASE influence_records OWNER influence;
CREATE DATABASE influence_lake OWNER influence;
