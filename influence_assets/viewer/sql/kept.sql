-- Conversations that were played by hand and kept.
SELECT kept_at, note, environment, initial_state_id, players, iteration, n_turns, final_state, status, conversation_id
FROM live.conversations
ORDER BY kept_at DESC
