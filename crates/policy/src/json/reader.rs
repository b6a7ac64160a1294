//! Reads a text from front to back, once, without recursion.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::fold::FEW_KEYS;
use super::{Bounds, Document, JsonError, Kind, Member, Node, Problem, string};

/// Reads a document by the full grammar, and refuses what two readers could
/// understand differently: duplicate keys, lone surrogates, raw control
/// characters, a byte order mark, trailing data. Takes linear time, but for sorting
/// the hashes of the keys of an object with many.
pub fn read(text: &[u8], bounds: Bounds) -> Result<Document<'_>, JsonError> {
    run(text, bounds, None).map(|reader| reader.document)
}

/// Like [`read`], but hands out duplicate keys beside the document, for
/// readers that want to name everything that is wrong at once.
pub fn read_collecting(
    text: &[u8],
    bounds: Bounds,
) -> Result<(Document<'_>, Vec<JsonError>), JsonError> {
    let reader = run(text, bounds, Some(Vec::new()))?;
    Ok((reader.document, reader.duplicates.unwrap_or_default()))
}

fn run(
    text: &[u8],
    bounds: Bounds,
    duplicates: Option<Vec<JsonError>>,
) -> Result<Reader<'_>, JsonError> {
    let refuse = |offset, problem| Err(JsonError { offset, problem });
    if u32::try_from(text.len()).is_err() {
        return refuse(0, Problem::TooLong);
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => return refuse(error.valid_up_to(), Problem::Utf8),
    };
    if text.starts_with('\u{feff}') {
        return refuse(0, Problem::Bom);
    }
    let room = (text.len() / 16).clamp(8, 4096);
    let document = Document {
        text,
        nodes: Vec::with_capacity(room),
    };
    let mut reader = Reader {
        document,
        at: 0,
        depth: 0,
        bounds,
        duplicates,
    };
    match reader.document() {
        Ok(()) => Ok(reader),
        Err(problem) => refuse(reader.at, problem),
    }
}

struct Reader<'a> {
    document: Document<'a>,
    /// The next byte; after an error, where it is.
    at: usize,
    depth: u32,
    bounds: Bounds,
    /// Where duplicate keys are collected; without it the first one ends it.
    duplicates: Option<Vec<JsonError>>,
}

/// "No container is open".
const OUTSIDE: u32 = u32::MAX;

// === impl Reader ===

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Problem> {
        let mut open = OUTSIDE;
        self.space();
        loop {
            // Here a value begins.
            match self.peek() {
                Some(b'{') => {
                    let object = self.open(Kind::Object, open)?;
                    if self.peek() == Some(b'}') {
                        self.close(object)?;
                    } else {
                        open = object;
                        self.key(open)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    let array = self.open(Kind::Array, open)?;
                    if self.peek() == Some(b']') {
                        self.close(array)?;
                    } else {
                        open = array;
                        self.count(open);
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true", Kind::Bool)?,
                Some(b'f') => self.literal("false", Kind::Bool)?,
                Some(b'n') => self.literal("null", Kind::Null)?,
                Some(_) => {
                    return Err(Problem::Syntax {
                        expected: "a value",
                    });
                }
                None => return Err(Problem::End),
            }
            // Here a value ended: what is around it goes on or ends too.
            loop {
                self.space();
                if open == OUTSIDE {
                    return if self.peek().is_none() {
                        Ok(())
                    } else {
                        Err(Problem::Trailing)
                    };
                }
                match (self.kind_of(open), self.peek()) {
                    (Kind::Object, Some(b',')) => {
                        self.step();
                        self.key(open)?;
                        break;
                    }
                    (_, Some(b',')) => {
                        self.step();
                        self.count(open);
                        break;
                    }
                    (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => {
                        open = self.close(open)?;
                    }
                    (Kind::Object, Some(_)) => {
                        return Err(Problem::Syntax {
                            expected: "`,` or `}`",
                        });
                    }
                    (_, Some(_)) => {
                        return Err(Problem::Syntax {
                            expected: "`,` or `]`",
                        });
                    }
                    (_, None) => return Err(Problem::End),
                }
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self, object: u32) -> Result<(), Problem> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(_) => {
                return Err(Problem::Syntax {
                    expected: "a key in quotes",
                });
            }
            None => return Err(Problem::End),
        }
        self.count(object);
        self.space();
        match self.peek() {
            Some(b':') => self.step(),
            Some(_) => return Err(Problem::Syntax { expected: "`:`" }),
            None => return Err(Problem::End),
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let rest = self
            .document
            .text
            .as_bytes()
            .get(start + 1..)
            .unwrap_or_default();
        match string::scan(rest) {
            Ok(found) => {
                self.at = start + 1 + found.length;
                self.push(Kind::String, start, found.escaped)
            }
            Err((before, problem)) => {
                self.at = start + 1 + before;
                Err(problem)
            }
        }
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        // `01`, `1x`: nothing that may stand in a number may follow one.
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-') = self.peek() {
            return Err(Problem::Number);
        }
        self.push(Kind::Number, start, false)
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let rest = self
            .document
            .text
            .as_bytes()
            .get(self.at..)
            .unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 if self.peek().is_none() => Err(Problem::End),
            0 => Err(Problem::Number),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<(), Problem> {
        let start = self.at;
        let rest = self.document.text.get(start..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            self.push(kind, start, false)
        } else if word.starts_with(rest) {
            self.at = self.document.text.len();
            Err(Problem::End)
        } else {
            Err(Problem::Syntax {
                expected: "a value",
            })
        }
    }

    /// Opens an array or object and moves to what is inside.
    fn open(&mut self, kind: Kind, around: u32) -> Result<u32, Problem> {
        self.depth += 1;
        if self.depth > self.bounds.depth {
            return Err(Problem::TooDeep {
                limit: self.bounds.depth,
            });
        }
        let index = self.index();
        self.push(kind, self.at, false)?;
        if let Some(node) = self.document.nodes.last_mut() {
            node.next = around;
        }
        self.step();
        Ok(index)
    }

    /// Closes an array or object and returns the one around it.
    fn close(&mut self, index: u32) -> Result<u32, Problem> {
        self.at += 1;
        self.depth -= 1;
        let (end, next) = (offset(self.at), self.index());
        let Some(node) = self.document.nodes.get_mut(index as usize) else {
            return Err(Problem::End);
        };
        let around = node.next;
        node.next = next;
        node.end = end;
        if node.kind == Kind::Object && node.count > 1 {
            self.unique_keys(index)?;
        }
        Ok(around)
    }

    fn unique_keys(&mut self, index: u32) -> Result<(), Problem> {
        let object = super::Value {
            document: &self.document,
            index,
        };
        let Some(second) = duplicate(object) else {
            return Ok(());
        };
        let problem = Problem::DuplicateKey {
            key: second.name().into_owned(),
        };
        let offset = second.key.span().start;
        match &mut self.duplicates {
            Some(found) => found.push(JsonError { offset, problem }),
            None => {
                self.at = offset;
                return Err(problem);
            }
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize, escaped: bool) -> Result<(), Problem> {
        let index = self.index();
        if index >= self.bounds.nodes {
            return Err(Problem::TooMany {
                limit: self.bounds.nodes,
            });
        }
        let (start, end) = (offset(start), offset(self.at));
        self.document.nodes.push(Node {
            start,
            end,
            next: index + 1,
            count: 0,
            kind,
            escaped,
        });
        Ok(())
    }

    fn count(&mut self, index: u32) {
        if let Some(node) = self.document.nodes.get_mut(index as usize) {
            node.count += 1;
        }
    }

    fn kind_of(&self, index: u32) -> Kind {
        self.document
            .nodes
            .get(index as usize)
            .map_or(Kind::Null, |node| node.kind)
    }

    fn index(&self) -> u32 {
        offset(self.document.nodes.len())
    }

    fn peek(&self) -> Option<u8> {
        self.document.text.as_bytes().get(self.at).copied()
    }

    /// Takes one byte and the space after it.
    fn step(&mut self) {
        self.at += 1;
        self.space();
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}

/// Positions fit: a text has at most `u32::MAX` bytes, and no more nodes than
/// bytes.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The first member whose key was there before.
fn duplicate(object: super::Value<'_>) -> Option<Member<'_>> {
    // Undoing escapes again for every pair would cost more than the set.
    let escaped = |member: Member<'_>| member.key.node().escaped;
    if object.len() <= FEW_KEYS && !object.members().any(escaped) {
        return object
            .members()
            .enumerate()
            .find(|(index, later)| {
                let mut earlier = object.members().take(*index);
                earlier.any(|earlier| earlier.key.raw() == later.key.raw())
            })
            .map(|(_, later)| later);
    }
    if !may_have_twins(object) {
        return None;
    }
    let mut seen: HashSet<Cow<'_, str>> = HashSet::with_capacity(object.len());
    object.members().find(|member| !seen.insert(member.name()))
}

/// Whether two keys have the same hash. Sorting numbers is a fraction of the work
/// of keeping a set of texts, and nobody can choose keys whose hashes are equal.
fn may_have_twins(object: super::Value<'_>) -> bool {
    let hasher = RandomState::new();
    let mut without_escapes = String::new();
    let mut hashes = Vec::with_capacity(object.len());
    for member in object.members() {
        let inner = member.key.inner().unwrap_or_default();
        hashes.push(if member.key.node().escaped {
            without_escapes.clear();
            without_escapes.extend(string::unescape(inner));
            hasher.hash_one(without_escapes.as_str())
        } else {
            hasher.hash_one(inner)
        });
    }
    hashes.sort_unstable();
    hashes
        .windows(2)
        .any(|pair| matches!(pair, [one, next] if one == next))
}
