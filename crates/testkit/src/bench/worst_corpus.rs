//! Messages that are as much work as a message can be: what was found by hand, and
//! what a random search puts together.

use crate::soak::dice::Dice;

/// Pieces of text that cost more than their length, each for another reason.
const ATOMS: [&str; 12] = [
    "x",
    "_",
    "A",
    "\u{fdfa}",
    "\u{df}",
    "\u{130}",
    "\u{1f82}",
    "\u{200b}",
    "\\u0041",
    "\\ud83d\\ude00",
    "7",
    "e",
];

/// Where a text stands in a message of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Method,
    Tool,
    ParamKeys,
    ArgumentKeys,
    MetaKeys,
    Text,
    Number,
    Elements,
    Nested,
}

const PLACES: [Place; 9] = [
    Place::Method,
    Place::Tool,
    Place::ParamKeys,
    Place::ArgumentKeys,
    Place::MetaKeys,
    Place::Text,
    Place::Number,
    Place::Elements,
    Place::Nested,
];

/// A message, described: the search changes one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) place: Place,
    pub(super) atom: usize,
    /// How many atoms make one key, name or element.
    pub(super) each: usize,
}

impl Recipe {
    /// What was found by hand.
    pub(super) fn known() -> Vec<Recipe> {
        let mut known = Vec::new();
        for place in PLACES {
            for (atom, each) in [
                (0, 8),
                (1, usize::MAX),
                (3, 1),
                (3, 40),
                (3, usize::MAX),
                (8, 4),
                (8, 8),
                (8, 40),
            ] {
                known.push(Recipe { place, atom, each });
            }
        }
        known
    }

    pub(super) fn random(dice: &mut Dice) -> Recipe {
        Recipe {
            place: PLACES[dice.roll(PLACES.len())],
            atom: dice.roll(ATOMS.len()),
            each: 1 << dice.roll(23),
        }
    }

    /// Another one that is much like this.
    pub(super) fn changed(&self, dice: &mut Dice) -> Recipe {
        let mut next = self.clone();
        match dice.roll(3) {
            0 => next.place = PLACES[dice.roll(PLACES.len())],
            1 => next.atom = dice.roll(ATOMS.len()),
            _ => next.each = (next.each.min(1 << 22) << 1 >> dice.roll(3)).max(1),
        }
        next
    }

    pub(super) fn name(&self) -> String {
        let each = match self.each {
            usize::MAX => "one".to_owned(),
            each => format!("each {each}"),
        };
        let atom = ATOMS[self.atom].escape_unicode().to_string();
        let atom = if ATOMS[self.atom].is_ascii() {
            ATOMS[self.atom].to_owned()
        } else {
            atom
        };
        format!("{:?} of {atom}, {each}", self.place)
    }

    /// The message of an agent, of at most so many bytes.
    pub(super) fn request(&self, limit: usize) -> String {
        let room = limit.saturating_sub(400);
        let call = |name: &str, arguments: &str, more: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{more}}}}}"#
            )
        };
        match self.place {
            Place::Method => {
                let method = self.word(0, room);
                format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{}}}}"#)
            }
            Place::Tool => call(&self.word(0, room), "{}", ""),
            Place::ParamKeys => format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{{}}}}}"#,
                self.members(room)
            ),
            Place::MetaKeys => call(
                "echo",
                r#"{"amount":1}"#,
                &format!(r#","_meta":{{{}}}"#, self.members(room)),
            ),
            Place::ArgumentKeys => call(
                "echo",
                &format!(r#"{{"amount":1,{}}}"#, self.members(room)),
                "",
            ),
            Place::Text => call(
                "echo",
                &format!(r#"{{"amount":1,"text":"{}"}}"#, self.word(0, room)),
                "",
            ),
            Place::Number => call(
                "echo",
                &format!(r#"{{"amount":1{}}}"#, "7".repeat(room)),
                "",
            ),
            Place::Elements => call(
                "echo",
                &format!(r#"{{"amount":1,"text":[{}]}}"#, self.elements(room)),
                "",
            ),
            Place::Nested => call(
                "echo",
                &format!(r#"{{"amount":1,"text":{}}}"#, self.nested(room)),
                "",
            ),
        }
    }

    /// Whether its answer is a list of tools.
    pub(super) fn lists_tools(&self) -> bool {
        self.place == Place::Tool
    }

    /// The same work in the answer of a server.
    pub(super) fn answer(&self, limit: usize) -> String {
        let room = limit.saturating_sub(400);
        let result = match self.place {
            Place::Text | Place::Method => format!(
                r#""content":[{{"type":"text","text":"{}"}}]"#,
                self.word(0, room)
            ),
            Place::Number => format!(r#""structuredContent":{{"n":1{}}}"#, "7".repeat(room)),
            Place::Tool => format!(r#""tools":[{}]"#, self.tools(room)),
            Place::ParamKeys | Place::ArgumentKeys => self.members(room),
            Place::MetaKeys => format!(r#""_meta":{{{}}}"#, self.members(room)),
            Place::Elements => format!(r#""content":[{}]"#, self.elements(room)),
            Place::Nested => format!(r#""content":{}"#, self.nested(room)),
        };
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{{result}}}}}"#)
    }

    fn word(&self, number: usize, most: usize) -> String {
        let atom = ATOMS[self.atom];
        let tail = number.to_string();
        let room = most.saturating_sub(tail.len()) / atom.len();
        let tail = if number == 0 { String::new() } else { tail };
        atom.repeat(self.each.min(room)) + &tail
    }

    fn repeated(&self, room: usize, one: impl Fn(String) -> String) -> String {
        let mut all = String::with_capacity(room);
        for number in 1.. {
            let next = one(self.word(number, room / 2));
            if all.len() + next.len() + 1 > room {
                break;
            }
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(&next);
        }
        all
    }

    fn members(&self, room: usize) -> String {
        self.repeated(room, |key| format!(r#""{key}":0"#))
    }

    fn tools(&self, room: usize) -> String {
        self.repeated(room, |name| {
            format!(r#"{{"name":"{name}","inputSchema":{{}}}}"#)
        })
    }

    fn elements(&self, room: usize) -> String {
        match self.atom {
            10 => self.repeated(room, |number| number),
            _ => self.repeated(room, |text| format!(r#""{text}""#)),
        }
    }

    fn nested(&self, room: usize) -> String {
        let depth = 100;
        let one = format!(
            r#"{}"{}"{}"#,
            r#"{"a":["#.repeat(depth / 2),
            self.word(0, room / 2),
            "]}".repeat(depth / 2)
        );
        let count = (room / (one.len() + 1)).max(1);
        format!("[{}]", vec![one; count].join(","))
    }
}
