//! `regex`: a pattern in a text, at a cost that is counted.
//!
//! A lazily built automaton reads each byte once. What costs more is building
//! its states, which a hostile text can ask for at every byte, so that is
//! counted too. Only `\b` and its kin before characters that are not ASCII need
//! the slow way: all states of the pattern at every byte.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;

use super::{Asked, BadValue, yes_if};
use crate::lengths;
use crate::work::{Exhausted, Work};

/// A compiled pattern. A clone shares everything.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    automaton: DFA,
    /// How many places of the pattern can be reached at once; a state of the
    /// automaton is a set of them.
    positions: usize,
    /// States that were built already. A std mutex: sections are a push or a pop.
    caches: Mutex<Vec<Cache>>,
}

/// What a text can do to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Costly {
    /// Text that is not ASCII can be searched up to so many bytes only.
    NotAscii(usize),
    /// There are texts for which too many states have to be built.
    Hostile,
}

enum Stop {
    Exhausted,
    /// The automaton does not know what to do about the next character.
    Quit,
}

/// Largest compiled pattern, in bytes.
const LARGEST: usize = 1 << 20;
/// Memory for states that were built; when it is full, they are built again.
const CACHE: usize = 512 << 10;
/// Kept for the next search; more at the same time are made anew.
const CACHES: usize = 1;
/// Getting ready for one text.
const SEARCH: usize = 32;
/// Building a state of the automaton looks at each position, which takes as
/// long as reading so many bytes.
const BUILD: usize = 20;
/// A step of the slow way takes as long as reading so many bytes.
const STEP: usize = 12;

// === impl Pattern ===

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, BadValue> {
        let config = thompson::Config::new()
            .nfa_size_limit(Some(LARGEST))
            .which_captures(WhichCaptures::None);
        let nfa = NFA::compiler()
            .configure(config)
            .build(pattern)
            .map_err(|error| refused(pattern, &error))?;
        Ok(Self(Arc::new(Compiled {
            automaton: automaton(&nfa, CACHE).ok_or_else(|| BadValue {
                message: format!("the pattern `{pattern}` cannot be compiled"),
                hint: None,
            })?,
            positions: positions(&nfa),
            caches: Mutex::new(Vec::new()),
        })))
    }

    /// Whether the pattern is found in the text.
    pub(super) fn ask(&self, text: &str, work: &mut Work) -> Asked {
        let mut cache = self.cache();
        let found = self.run(text, &mut cache, work);
        let mut kept = self.kept();
        if kept.len() < CACHES {
            kept.push(cache);
        }
        drop(kept);
        match found {
            Ok(found) => Ok(yes_if(found)),
            Err(Stop::Exhausted) => Err(Exhausted),
            Err(Stop::Quit) => self.simulate(text, work).map(yes_if),
        }
    }

    fn run(&self, text: &str, cache: &mut Cache, work: &mut Work) -> Result<bool, Stop> {
        let automaton = &self.0.automaton;
        work.spend(SEARCH + text.len())?;
        let mut state = automaton
            .start_state_forward(cache, &Input::new(text))
            .map_err(|_| Stop::Quit)?;
        if state.is_dead() {
            return Ok(false);
        }
        for &byte in text.as_bytes() {
            let mut next = automaton.next_state_untagged(cache, state, byte);
            if next.is_unknown() {
                work.spend(self.build_cost())?;
                next = automaton
                    .next_state(cache, state, byte)
                    .map_err(|_| Stop::Quit)?;
            }
            if next.is_tagged() {
                if next.is_match() {
                    return Ok(true);
                }
                if next.is_dead() {
                    return Ok(false);
                }
                if next.is_quit() {
                    return Err(Stop::Quit);
                }
            }
            state = next;
        }
        work.spend(self.build_cost())?;
        let last = automaton.next_eoi_state(cache, state);
        last.map(|state| state.is_match()).map_err(|_| Stop::Quit)
    }

    /// The slow way: all states of the pattern that are alive, byte by byte.
    pub(super) fn simulate(&self, text: &str, work: &mut Work) -> Result<bool, Exhausted> {
        let nfa = self.0.automaton.get_nfa();
        work.spend(nfa.states().len())?;
        // Where a state was seen last, counted from one.
        let mut seen = vec![0; nfa.states().len()];
        let mut open = vec![nfa.start_unanchored()];
        let mut alive: Vec<StateID> = Vec::new();
        for at in 0..=text.len() {
            let mut steps = open.len();
            while let Some(state) = open.pop() {
                match seen.get_mut(state.as_usize()) {
                    Some(last) if *last <= at => *last = at + 1,
                    _ => continue,
                }
                steps += 1;
                match nfa.state(state) {
                    State::Match { .. } => return Ok(true),
                    State::Fail => {}
                    State::Capture { next, .. } => open.push(*next),
                    State::Look { look, next } => {
                        if nfa.look_matcher().matches(*look, text.as_bytes(), at) {
                            open.push(*next);
                        }
                    }
                    State::Union { alternates } => {
                        steps += alternates.len();
                        open.extend(alternates.iter());
                    }
                    State::BinaryUnion { alt1, alt2 } => open.extend([alt1, alt2]),
                    State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                        alive.push(state);
                    }
                }
            }
            work.spend(STEP * (steps + alive.len()))?;
            let Some(&byte) = text.as_bytes().get(at) else {
                return Ok(false);
            };
            open.extend(
                alive
                    .drain(..)
                    .filter_map(|state| after(nfa.state(state), byte)),
            );
        }
        Ok(false)
    }

    fn build_cost(&self) -> usize {
        self.0.positions.saturating_mul(BUILD)
    }

    /// The cost of a byte the slow way, at most.
    fn slow_cost(&self) -> usize {
        self.0.positions.saturating_mul(3 * STEP)
    }

    fn cache(&self) -> Cache {
        let kept = self.kept().pop();
        kept.unwrap_or_else(|| self.0.automaton.create_cache())
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Cache>> {
        self.0.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one text of a whole message can use up the budget of a call.
    pub(crate) fn costly(&self) -> Option<Costly> {
        let budget = usize::try_from(Work::OF_A_CALL).unwrap_or(usize::MAX);
        let rest = budget.saturating_sub(lengths::BODY);
        let nfa = self.0.automaton.get_nfa();
        if nfa.look_set_any().contains_word_unicode() {
            let bytes = rest / self.slow_cost().max(1);
            if bytes < lengths::BODY {
                return Some(Costly::NotAscii(bytes));
            }
        }
        self.is_exhausted_by_states(rest).then_some(Costly::Hostile)
    }

    /// Builds every state that any text can lead to, and counts.
    fn is_exhausted_by_states(&self, budget: usize) -> bool {
        let most = budget / self.build_cost().max(1);
        let Some(automaton) = automaton(self.0.automaton.get_nfa(), 64 << 20) else {
            return true;
        };
        let mut cache = automaton.create_cache();
        let Ok(start) = automaton.start_state_forward(&mut cache, &Input::new("")) else {
            return true;
        };
        let classes: Vec<u8> = automaton
            .byte_classes()
            .representatives(0..=255)
            .filter_map(|unit| unit.as_u8())
            .collect();
        let (mut seen, mut open) = (HashSet::from([start]), vec![start]);
        let mut built = 0;
        while let Some(state) = open.pop() {
            for &byte in &classes {
                built += 1;
                if built > most || cache.clear_count() > 0 {
                    return true;
                }
                let Ok(next) = automaton.next_state(&mut cache, state, byte) else {
                    return true;
                };
                if !(next.is_dead() || next.is_quit() || next.is_match()) && seen.insert(next) {
                    open.push(next);
                }
            }
        }
        // More states than fit are built again and again.
        cache.memory_usage() > CACHE
    }
}

impl From<Exhausted> for Stop {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// All states of a pattern but those in the middle of a character: of these, no
/// more are alive at once than characters began.
fn positions(nfa: &NFA) -> usize {
    let inside = |first: u8, last: u8| first >= 0x80 && last < 0xc0;
    let in_the_middle = |state: &&State| match state {
        State::ByteRange { trans } => inside(trans.start, trans.end),
        State::Sparse(sparse) => {
            let mut all = sparse.transitions.iter();
            all.all(|trans| inside(trans.start, trans.end))
        }
        _ => false,
    };
    let states = nfa.states().iter();
    states.filter(|state| !in_the_middle(state)).count()
}

/// Where a byte leads from a state.
fn after(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches_byte(byte),
        State::Dense(transitions) => transitions.matches_byte(byte),
        _ => None,
    }
}

fn automaton(nfa: &NFA, cache: usize) -> Option<DFA> {
    let config = Config::new()
        .unicode_word_boundary(true)
        .cache_capacity(cache)
        .skip_cache_capacity_check(true);
    DFA::builder()
        .configure(config)
        .build_from_nfa(nfa.clone())
        .ok()
}

fn refused(pattern: &str, error: &thompson::BuildError) -> BadValue {
    if error.size_limit().is_some() {
        return BadValue {
            message: format!(
                "the pattern `{pattern}` is too large: compiled, it has more than 1 MiB"
            ),
            hint: Some("use smaller repetitions"),
        };
    }
    // The source's last line says what is wrong, the ones before draw it.
    let source = std::error::Error::source(error).map(ToString::to_string);
    let told = source.unwrap_or_else(|| error.to_string());
    let problem = told.lines().last().unwrap_or_default();
    BadValue {
        message: format!(
            "invalid pattern `{pattern}`: {}",
            problem.trim_start_matches("error: ")
        ),
        hint: Some("patterns run in linear time: no look-around, no back-references"),
    }
}
