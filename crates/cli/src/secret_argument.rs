//! Secrets on command lines: named by where they are, never written out.

use std::io::Read;

use provost_store::Secret;

use crate::environment::Environment;
use crate::failure::{Failure, Outcome};

/// `KEY=@file`, `KEY=-` or `KEY=env:NAME`, as given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SecretArgument {
    /// The header's or variable's name.
    key: String,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(String),
    Stdin,
    Variable(String),
}

// === impl SecretArgument ===

impl SecretArgument {
    /// Reads one argument; a literal value is refused without being repeated.
    fn parse(text: &str) -> Outcome<Self> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Failure::usage("a header or variable has no value").hint(HINT));
        };
        if key.is_empty() {
            return Err(Failure::usage("a header or variable has no name").hint(HINT));
        }
        let source = match value {
            "-" => Source::Stdin,
            _ => {
                match (value.strip_prefix('@'), value.strip_prefix("env:")) {
                    (Some(file), _) if !file.is_empty() => Source::File(file.into()),
                    (_, Some(name)) if !name.is_empty() => Source::Variable(name.into()),
                    _ => {
                        return Err(Failure::usage(format!("the value of `{key}` is not taken from the command line"))
                        .because("others can read it in the process list and in the history of the shell")
                        .hint(HINT));
                    }
                }
            }
        };
        Ok(SecretArgument {
            key: key.into(),
            source,
        })
    }

    fn read(&self) -> Outcome<Secret> {
        let value = match &self.source {
            Source::File(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::unavailable(format!(
                    "cannot read the value of `{}` from file `{path}`",
                    self.key
                ))
                .because(error)
            })?,
            Source::Stdin => {
                let mut value = String::new();
                std::io::stdin()
                    .read_to_string(&mut value)
                    .map_err(|error| {
                        Failure::unavailable(format!(
                            "cannot read the value of `{}` from stdin",
                            self.key
                        ))
                        .because(error)
                    })?;
                value
            }
            Source::Variable(name) => {
                return Environment::secret(name)?.ok_or_else(|| {
                    Failure::not_found(format!("variable `{name}` is not set"))
                        .because(format!("it should hold the value of `{}`", self.key))
                });
            }
        };
        // Editors and `echo` end files with a line feed that is not part of the secret.
        Ok(Secret::new(
            value
                .strip_suffix('\n')
                .map_or(value.as_str(), |line| {
                    line.strip_suffix('\r').unwrap_or(line)
                })
                .to_owned(),
        ))
    }
}

const HINT: &str = "write `KEY=@file`, `KEY=-` (stdin) or `KEY=env:NAME`";

/// Reads the values of all arguments, in order; stdin can be named once.
pub(crate) fn read_all(arguments: &[impl AsRef<str>]) -> Outcome<Vec<(String, Secret)>> {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|text| SecretArgument::parse(text.as_ref()))
        .collect::<Outcome<_>>()?;
    if arguments
        .iter()
        .filter(|argument| argument.source == Source::Stdin)
        .count()
        > 1
    {
        return Err(Failure::usage("stdin is named more than once")
            .hint("one `KEY=-` at most; use files or variables for the others"));
    }
    arguments
        .iter()
        .map(|argument| Ok((argument.key.clone(), argument.read()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_where_the_secret_is() {
        let source = |text| SecretArgument::parse(text).unwrap().source;
        assert_eq!(source("Authorization=@/a b"), Source::File("/a b".into()));
        assert_eq!(source("X=-"), Source::Stdin);
        assert_eq!(source("X=env:TOKEN"), Source::Variable("TOKEN".into()));
    }

    #[test]
    fn a_literal_value_is_refused_and_not_repeated() {
        for text in [
            "Authorization=Bearer hunter2",
            "X=hunter2@",
            "X=",
            "X=@",
            "X=env:",
        ] {
            let failure = SecretArgument::parse(text).unwrap_err();
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
        assert!(
            SecretArgument::parse("hunter2")
                .is_err_and(|failure| !format!("{failure:?}").contains("hunter2"))
        );
        assert!(SecretArgument::parse("=@f").is_err());
    }

    #[test]
    fn stdin_can_be_named_once() {
        assert!(read_all(&["A=-", "B=-"]).is_err());
    }

    #[test]
    fn the_line_feed_at_the_end_of_a_file_is_not_part_of_the_secret() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("token");
        std::fs::write(&file, "abc\r\n").unwrap();
        assert_eq!(
            read_all(&[format!("K=@{}", file.display())]).unwrap()[0]
                .1
                .expose(),
            "abc"
        );
    }
}
