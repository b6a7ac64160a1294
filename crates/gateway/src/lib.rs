//! Carry a call from agent to server and back, under decision.
