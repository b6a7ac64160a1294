//! Entries written by somebody who has the key: what the product itself never
//! writes.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use provost_store::Locations;
use sha2::Sha256;

use crate::harness::segment;

/// The lines of one segment, and the key they are chained with.
#[derive(Clone)]
pub(crate) struct Chain {
    key: Vec<u8>,
    node: String,
    /// The last entry before the first line.
    before: (u64, [u8; 32]),
    pub(crate) lines: Vec<String>,
}

impl Chain {
    pub(crate) fn read(locations: &Locations, number: u32) -> Self {
        let node = std::fs::read_to_string(locations.data.join("id")).unwrap();
        let node = node.trim().to_owned();
        let keys = std::fs::read_to_string(locations.config.join(format!("key-{node}"))).unwrap();
        let key = keys
            .lines()
            .find_map(|line| line.strip_prefix("chain 1 "))
            .unwrap();
        let text = std::fs::read_to_string(segment(locations, number)).unwrap();
        Self {
            key: BASE64_STANDARD_NO_PAD.decode(key).unwrap(),
            node,
            before: (0, [0; 32]),
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// The segment that follows from the last line.
    pub(crate) fn next_segment(&self) -> Self {
        Self {
            before: self.last(),
            lines: Vec::new(),
            ..self.clone()
        }
    }

    /// Adds an entry with the next number and the mac it has to have.
    pub(crate) fn push(&mut self, body: &str) {
        let (number, mac) = self.last();
        let prev = format!(r#"{{"n":{number},"mac":"{}"}}"#, hex(&mac));
        let body = body.replace("PREV", &prev).replace("NODE", &self.node);
        let payload = format!(r#"{{"n":{},{body}"#, number + 1);
        let mut hmac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).unwrap();
        hmac.update(&mac);
        hmac.update(payload.as_bytes());
        let mac: [u8; 32] = hmac.finalize().into_bytes().into();
        self.lines.push(format!("{payload}\t{}", hex(&mac)));
    }

    pub(crate) fn write(&self, locations: &Locations, number: u32) {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(segment(locations, number), text).unwrap();
    }

    fn last(&self) -> (u64, [u8; 32]) {
        let Some((payload, mac)) = self.lines.last().and_then(|line| line.split_once('\t')) else {
            return self.before;
        };
        let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
        let mac: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&mac[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        (payload["n"].as_u64().unwrap(), mac.try_into().unwrap())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
