//! The tables whose rows decide something, and how their rows are named.

use serde_json::Value;

use crate::words::words;

words! {
    /// A table whose rows decide something. All of its columns are in a row's
    /// digest, so a new column needs nothing here; a new table does, and a test
    /// asks for it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Table with name {
        Names = "names",
        Servers = "servers",
        Secrets = "secrets",
        Policies = "policies",
        PolicyVersions = "policy_versions",
        Grants = "grants",
        GrantServers = "grant_servers",
    }
}

// === impl Table ===

impl Table {
    /// The tables whose rows are there only as long as one of this is.
    pub(super) const fn below(self) -> &'static [Self] {
        match self {
            Self::Policies => &[Self::PolicyVersions],
            Self::Servers => &[Self::Secrets],
            Self::Grants => &[Self::GrantServers, Self::Secrets],
            Self::Names | Self::Secrets | Self::PolicyVersions | Self::GrantServers => &[],
        }
    }

    /// A row's table and the values of its primary key; nothing for a table that
    /// this program does not have.
    pub(crate) fn of(key: &str) -> Option<(Self, Vec<Value>)> {
        let (name, values) = key.split_at_checked(key.find('[')?)?;
        let table = Self::ALL.into_iter().find(|table| table.name() == name)?;
        Some((table, serde_json::from_str(values).ok()?))
    }
}
