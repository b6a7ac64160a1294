//! How long the names are that decide something, and which are names of tools.
//!
//! A name is measured before anything else is done with it: work on a name is
//! bounded because the name is.

/// Characters of a tool's name. The specification (revision 2025-11-25, "Tool
/// Names") wishes for 1 to 128.
pub const TOOL_NAME: usize = 128;

/// Bytes of a method's name. The protocol's own have at most 40; this leaves
/// room for those of vendors.
pub const METHOD_NAME: usize = 128;

/// Bytes of a key where keys decide: in `params`, in `arguments`, and in an
/// object whose keys a rule names. No protocol gives a number; no parameter of
/// a tool needs more.
pub const KEY: usize = 256;

/// Members of an object whose keys decide. No tool has so many parameters.
pub const KEYS: usize = 4096;

/// Bytes of different names, not plain ASCII, that are folded for one message.
/// Folding costs up to a microsecond for three bytes.
pub const FOLDED: usize = 32 * 1024;

/// Bytes of a message of an agent, unless a gateway is told otherwise: what a
/// policy is checked against when it is asked what a call may cost.
pub const BODY: usize = 4 << 20;

/// Whether a tool of that name is carried: one that reads as a path, or that
/// steers whoever shows it, is no name in any revision of the protocol.
pub fn is_tool_name(name: &str) -> bool {
    // Some servers trim what they are sent.
    let trimmed = name.trim() == name;
    !name.is_empty() && trimmed && fits_tool_name(name) && stands_in_tool_name(name)
}

/// Whether a text can be a part of the name of a tool.
pub fn stands_in_tool_name(part: &str) -> bool {
    !part.contains("..") && !part.contains('/') && !part.contains(char::is_control)
}

/// Whether a name is no longer than the name of a tool may be.
pub fn fits_tool_name(name: &str) -> bool {
    // A character has at most four bytes.
    name.len() <= TOOL_NAME || (name.len() <= 4 * TOOL_NAME && name.chars().count() <= TOOL_NAME)
}
