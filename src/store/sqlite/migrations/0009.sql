-- What helps to read a body later: the format of its source, and headers that it came with, as a JSON object of names
-- and texts. Absent of bodies that were put aside before.
ALTER TABLE quarantine ADD COLUMN format TEXT;
ALTER TABLE quarantine ADD COLUMN headers TEXT;
