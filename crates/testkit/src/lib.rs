//! Fixtures for tests: MCP servers and clients, a test gateway, the tidy check, the bench.
