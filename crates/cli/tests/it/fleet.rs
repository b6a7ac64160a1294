//! The fleet, whole: the real daemon, the real tmux, agents that are programs, and MCP clients of both.

mod instances;
mod limits;
mod outliving;
mod scene;
mod tasks;
