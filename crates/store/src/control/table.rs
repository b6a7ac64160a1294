//! The tables whose rows decide something, and how their rows are named.

use serde_json::Value;

/// A table whose rows decide something. All of its columns are in a row's
/// digest, so a new column needs nothing here; a new table does, and a test
/// asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Names,
    Servers,
    Secrets,
    Policies,
    PolicyVersions,
    Grants,
    GrantServers,
}

// === impl Table ===

impl Table {
    pub(crate) const ALL: [Self; 7] = [
        Self::Names,
        Self::Servers,
        Self::Secrets,
        Self::Policies,
        Self::PolicyVersions,
        Self::Grants,
        Self::GrantServers,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Servers => "servers",
            Self::Secrets => "secrets",
            Self::Policies => "policies",
            Self::PolicyVersions => "policy_versions",
            Self::Grants => "grants",
            Self::GrantServers => "grant_servers",
        }
    }

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
