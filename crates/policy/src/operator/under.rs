//! `under`: a file path inside one of the roots.
//!
//! It looks at text only. Symbolic links, mounts and what the tool's own
//! working directory is cannot be seen from here.

use unicode_normalization::UnicodeNormalization;

use super::{Answer, Asked, BadValue, fold_cost};
use crate::invisible::is_hidden;
use crate::json::fold;
use crate::work::Work;

/// Directories; what is in them is under them, and so are they.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots(Vec<Root>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    parts: Vec<String>,
    folded: Vec<String>,
}

// === impl Roots ===

impl Roots {
    pub(super) fn new(roots: &[String]) -> Result<Self, BadValue> {
        roots
            .iter()
            .map(|root| match parts(root) {
                Ok(parts) => {
                    let folded = parts.iter().map(|part| fold(part).into_owned()).collect();
                    Ok(Root {
                        parts: parts.into_iter().map(str::to_owned).collect(),
                        folded,
                    })
                }
                Err(why) => Err(BadValue {
                    message: format!("the directory `{}` {why}", root.escape_debug()),
                    hint: Some(match root.starts_with(['~', '$']) {
                        true => "`~` and variables are not expanded: write the directory out, such as `/home/ada/work`",
                        false => "directories are absolute and plain, such as `/srv/work`",
                    }),
                }),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn ask(&self, path: &str, work: &mut Work) -> Asked {
        if path.len() > LONGEST_PATH {
            return Ok(Answer::CannotTell(TOO_LONG));
        }
        work.spend(fold_cost(path))?;
        let parts = match parts(path) {
            Ok(parts) => parts,
            Err(why) => return Ok(Answer::CannotTell(why)),
        };
        // A root that differs does so in one of its own names.
        let compared: usize = self.0.iter().map(|root| 1 + root.parts.len()).sum();
        work.spend(compared)?;
        if self.0.iter().any(|root| begins(&parts, &root.parts)) {
            return Ok(Answer::Yes);
        }
        // On some file systems `/SRV` is `/srv`; which kind this is, nobody
        // here knows.
        let folded: Vec<_> = parts.iter().map(|part| fold(part)).collect();
        if self.0.iter().any(|root| begins(&folded, &root.folded)) {
            return Ok(Answer::CannotTell(
                "differs from a listed directory only in its spelling",
            ));
        }
        Ok(Answer::No)
    }
}

fn begins<P: AsRef<str>>(path: &[P], root: &[String]) -> bool {
    path.len() >= root.len()
        && path
            .iter()
            .zip(root)
            .all(|(part, wanted)| part.as_ref() == wanted)
}

/// The longest path of any system (Linux' `PATH_MAX`).
const LONGEST_PATH: usize = 4096;
const TOO_LONG: &str = "is longer than a path can be";

/// The names along an absolute path; `//` and `/./` are nothing.
fn parts(path: &str) -> Result<Vec<&str>, &'static str> {
    if path.len() > LONGEST_PATH {
        return Err(TOO_LONG);
    }
    let rest = path.strip_prefix('/').ok_or("is not an absolute path")?;
    if path.chars().any(is_hidden) {
        return Err("has a character in it that cannot be seen");
    }
    if path.contains('\\') {
        return Err("has a backslash in it");
    }
    if is_encoded(path) {
        return Err("is percent-encoded");
    }
    if !path.is_ascii() && hides_syntax(path) {
        return Err("has characters in it that stand for `/`, `.` or `\\`");
    }
    let parts: Vec<_> = rest
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return Err("has `..` in it");
    }
    if parts.iter().any(|part| part.starts_with('~')) {
        return Err("has `~` in it");
    }
    // Some file systems drop these, so `/etc./x` may be `/etc/x`.
    if parts.iter().any(|part| part.ends_with(['.', ' '])) {
        return Err("has a name in it that ends with a dot or a space");
    }
    Ok(parts)
}

fn is_encoded(path: &str) -> bool {
    path.as_bytes().windows(3).any(|three| {
        matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// Whether a character becomes path syntax in another normal form.
fn hides_syntax(path: &str) -> bool {
    path.chars()
        .filter(|character| !character.is_ascii())
        .any(|character| {
            character
                .nfkc()
                .any(|plain| matches!(plain, '/' | '.' | '\\' | '~' | '%'))
        })
}
