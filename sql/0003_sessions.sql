-- Calls of the command line about one order. Runs once, as torque_owner, and is never edited after
-- release.

set search_path = '';

-- It takes an order_id, too: see budget.sql.
drop function if exists torque.claim_call(text, text, timestamptz);
