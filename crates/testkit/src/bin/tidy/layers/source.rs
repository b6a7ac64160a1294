//! Reads which files of a crate import which: as much of Rust as that takes.

use crate::tree::{TextFile, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The files of one crate, and what they import of each other.
pub(crate) struct Crate {
    /// The folder of its root file.
    pub(crate) root: String,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) arrows: Vec<Arrow>,
}

pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) lines: usize,
}

/// One file imports something that another one defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The first line that says so.
    pub(crate) line: usize,
}

/// The path of a module from the root of its crate.
type Module = Vec<String>;

/// What one file says.
#[derive(Default)]
struct Said {
    /// Names that `use` brings in, and what they stand for: a path as it is written.
    names: BTreeMap<String, Vec<String>>,
    /// Every path that may lead to another file.
    paths: Vec<Path>,
}

struct Path {
    segments: Vec<String>,
    line: usize,
    /// Whether it only says where else something can be imported from.
    handed_on: bool,
}

// === impl Crate ===

impl Crate {
    /// The layer that a file belongs to by its place; that of the root file is the root.
    pub(crate) fn layer<'f>(&self, file: &'f str) -> &'f str {
        let inside = file
            .strip_prefix(&self.root)
            .unwrap_or(file)
            .trim_start_matches('/');
        let first = inside.split('/').next().unwrap_or(inside);
        first.trim_end_matches(".rs")
    }
}

/// The crates of the workspace; each binary in `src/bin/` with files of its own is one.
pub(crate) fn crates(tree: &Tree) -> Vec<Crate> {
    let mut by_root: BTreeMap<String, Vec<&TextFile>> = BTreeMap::new();
    for file in tree.rust() {
        if let Some(root) = root_of(&file.path) {
            by_root.entry(root).or_default().push(file);
        }
    }
    by_root
        .into_iter()
        .map(|(root, files)| read(root, &files))
        .collect()
}

fn root_of(path: &str) -> Option<String> {
    let (before, inside) = path.split_once("/src/")?;
    if !before.starts_with("crates/") || is_test(inside) {
        return None;
    }
    match inside
        .strip_prefix("bin/")
        .and_then(|binary| binary.split_once('/'))
    {
        Some((binary, _)) => Some(format!("{before}/src/bin/{binary}")),
        None if inside.starts_with("bin/") => None,
        None => Some(format!("{before}/src")),
    }
}

fn is_test(inside: &str) -> bool {
    inside
        .split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

fn read(root: String, files: &[&TextFile]) -> Crate {
    let modules: BTreeMap<Module, &str> = files
        .iter()
        .map(|file| (module_of(&root, &file.path), file.path.as_str()))
        .collect();
    let said: BTreeMap<Module, Said> = files
        .iter()
        .map(|file| (module_of(&root, &file.path), said(&file.text)))
        .collect();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut arrows = Vec::new();
    for (module, own) in &said {
        let Some(from) = modules.get(module) else {
            continue;
        };
        for path in &own.paths {
            let Some((target, is_module)) = resolve(&modules, &said, module, &path.segments, 0)
            else {
                continue;
            };
            // A module alone is a name; the paths that begin with it say what is taken from it.
            let hands_on = path.handed_on && target.starts_with(module);
            if is_module || hands_on || target == *module {
                continue;
            }
            let Some(to) = modules.get(&target) else {
                continue;
            };
            if seen.insert(((*from).to_owned(), (*to).to_owned())) {
                let (from, to) = ((*from).to_owned(), (*to).to_owned());
                arrows.push(Arrow {
                    from,
                    to,
                    line: path.line,
                });
            }
        }
    }
    arrows.sort();
    let files = files.iter().map(|file| SourceFile {
        path: file.path.clone(),
        lines: file.text.lines().count(),
    });
    Crate {
        root,
        files: files.collect(),
        arrows,
    }
}

fn module_of(root: &str, path: &str) -> Module {
    let inside = path
        .strip_prefix(root)
        .unwrap_or(path)
        .trim_start_matches('/')
        .trim_end_matches(".rs");
    let mut module: Module = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || matches!(inside, "lib" | "main") {
        module.pop();
    }
    module
}

/// The module whose file defines what a path names, and whether the path names the module itself. `None` for what
/// is of another crate.
fn resolve(
    modules: &BTreeMap<Module, &str>,
    said: &BTreeMap<Module, Said>,
    here: &Module,
    path: &[String],
    depth: usize,
) -> Option<(Module, bool)> {
    if depth > 16 {
        return None;
    }
    let (first, rest) = path.split_first()?;
    let mut rest = rest;
    let mut module = here.clone();
    match first.as_str() {
        "crate" => module.clear(),
        "self" => {}
        "super" => {
            module.pop()?;
            while let Some((next, after)) = rest.split_first().filter(|(next, _)| *next == "super")
            {
                let _ = next;
                module.pop()?;
                rest = after;
            }
        }
        name => {
            let mut child = module.clone();
            child.push(name.to_owned());
            if modules.contains_key(&child) {
                module = child;
            } else {
                let meant = said.get(here)?.names.get(name)?;
                // `use x::y` may name a crate `x`; that of `use x;` is itself.
                if meant.first() == Some(first) {
                    return None;
                }
                let whole: Vec<String> = meant.iter().chain(rest).cloned().collect();
                return resolve(modules, said, here, &whole, depth + 1);
            }
        }
    }
    while let Some((next, after)) = rest.split_first() {
        let mut child = module.clone();
        child.push(next.clone());
        if modules.contains_key(&child) {
            (module, rest) = (child, after);
            continue;
        }
        let meant = said.get(&module).and_then(|said| said.names.get(next));
        return match meant {
            Some(meant) if meant.first() != Some(next) => {
                let whole: Vec<String> = meant.iter().chain(after).cloned().collect();
                resolve(modules, said, &module, &whole, depth + 1)
            }
            Some(_) | None => Some((module, false)),
        };
    }
    Some((module, true))
}

/// A word or a sign, and its line.
type Token = (String, usize);

fn said(text: &str) -> Said {
    let tokens = without_tests(tokens(text));
    let mut said = Said::default();
    let mut at = 0;
    while let Some((word, line)) = tokens.get(at) {
        let is = |at: usize, word: &str| tokens.get(at).is_some_and(|(there, _)| there == word);
        if word == "use" && !is(at + 1, "<") {
            let public = is(at.wrapping_sub(1), "pub") || is(at.wrapping_sub(1), ")");
            at = used(&tokens, at + 1, &mut Vec::new(), public, &mut said);
            continue;
        }
        let starts = word.starts_with(|c: char| c.is_alphabetic() || c == '_') && is(at + 1, "::");
        if starts && !is(at.wrapping_sub(1), "::") && !is(at.wrapping_sub(1), ".") {
            let mut segments = vec![word.clone()];
            let line = *line;
            while is(at + 1, "::")
                && tokens.get(at + 2).is_some_and(|(word, _)| {
                    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
                })
            {
                segments.push(tokens[at + 2].0.clone());
                at += 2;
            }
            said.paths.push(Path {
                segments,
                line,
                handed_on: false,
            });
        }
        at += 1;
    }
    said
}

/// Reads one tree of a `use` declaration from `at` on, and returns where it ends.
fn used(
    tokens: &[Token],
    mut at: usize,
    before: &mut Vec<String>,
    public: bool,
    said: &mut Said,
) -> usize {
    let length = before.len();
    while let Some((word, line)) = tokens.get(at) {
        match word.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|(word, _)| word != "}") {
                    at = used(tokens, at, before, public, said);
                    if tokens.get(at).is_some_and(|(word, _)| word == ",") {
                        at += 1;
                    }
                }
                before.truncate(length);
                return at + 1;
            }
            "*" => {
                let segments = [before.as_slice(), &["*".to_owned()]].concat();
                said.paths.push(Path {
                    segments,
                    line: *line,
                    handed_on: public,
                });
                before.truncate(length);
                return at + 1;
            }
            _ => {
                if word != "self" || before.is_empty() {
                    before.push(word.clone());
                }
                at += 1;
                let next = tokens.get(at).map(|(word, _)| word.as_str());
                if next == Some("::") {
                    continue;
                }
                let mut name = before.last().cloned().unwrap_or_default();
                if next == Some("as") {
                    name = tokens
                        .get(at + 1)
                        .map(|(word, _)| word.clone())
                        .unwrap_or_default();
                    at += 2;
                }
                said.names.insert(name, before.clone());
                said.paths.push(Path {
                    segments: before.clone(),
                    line: *line,
                    handed_on: public,
                });
                before.truncate(length);
                return at;
            }
        }
    }
    at
}

/// Leaves out what is compiled for tests alone.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let word = |at: usize| tokens.get(at).map_or("", |(word, _)| word.as_str());
        if word(at) == "#" && word(at + 1) == "[" {
            let end = closed(&tokens, at + 1);
            let attribute: Vec<&str> = (at..end).map(word).collect();
            if attribute.contains(&"cfg")
                && attribute.contains(&"test")
                && !attribute.contains(&"not")
            {
                at = after_item(&tokens, end);
                continue;
            }
            at = end;
            continue;
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// Behind the item that begins here: at its semicolon, or where its braces close.
fn after_item(tokens: &[Token], mut at: usize) -> usize {
    while let Some((word, _)) = tokens.get(at) {
        match word.as_str() {
            ";" => return at + 1,
            "{" => return closed(tokens, at),
            "(" | "[" => at = closed(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Behind the bracket that closes the one here.
fn closed(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some((word, _)) = tokens.get(at) {
        at += 1;
        match word.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Words and signs, without comments, texts and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut at, mut line) = (0, 1);
    let mut tokens = Vec::new();
    while at < chars.len() {
        let c = get(at);
        let start = at;
        if c == '/' && get(at + 1) == '/' {
            while at < chars.len() && get(at) != '\n' {
                at += 1;
            }
        } else if c == '/' && get(at + 1) == '*' {
            let mut depth = 0;
            while at < chars.len() {
                match (get(at), get(at + 1)) {
                    ('/', '*') => (depth, at) = (depth + 1, at + 2),
                    ('*', '/') => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if c == '"' {
            at = after_text(&chars, at);
        } else if c == '\'' {
            // A lifetime has no second quote right behind its first letter.
            at = match (get(at + 1), get(at + 2)) {
                ('\\', _) => {
                    (at + 3..)
                        .find(|at| matches!(get(*at), '\'' | '\0'))
                        .unwrap_or(at)
                        + 1
                }
                (_, '\'') => at + 3,
                _ => at + 1,
            };
        } else if is_word(c) {
            while is_word(get(at)) {
                at += 1;
            }
            let word: String = chars[start..at].iter().collect();
            if matches!(word.as_str(), "r" | "br" | "cr") && matches!(get(at), '"' | '#') {
                let fences = (at..).take_while(|at| get(*at) == '#').count();
                if get(at + fences) == '"' {
                    at = after_raw_text(&chars, at + fences + 1, fences);
                }
            } else if get(at) != '"' {
                tokens.push((word, line));
            }
        } else if c == ':' && get(at + 1) == ':' {
            at += 2;
            tokens.push(("::".to_owned(), line));
        } else {
            at += 1;
            if !c.is_whitespace() {
                tokens.push((c.to_string(), line));
            }
        }
        line += chars[start..at.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    tokens
}

fn after_text(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn after_raw_text(chars: &[char], start: usize, fences: usize) -> usize {
    let mut at = start;
    while at < chars.len() {
        let closes =
            chars[at] == '"' && (1..=fences).all(|more| chars.get(at + more) == Some(&'#'));
        if closes {
            return at + 1 + fences;
        }
        at += 1;
    }
    at
}
