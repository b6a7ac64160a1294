//! Reading server-sent events, by the letter of their specification.

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `id:` field, when the event had one.
    pub id: Option<String>,
    /// The `event:` field, when the event had one.
    pub kind: Option<String>,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
    /// The `retry:` field in milliseconds, when the event had one.
    pub retry: Option<u64>,
}

impl Event {
    /// The data as JSON; null when there is none (a priming event).
    ///
    /// # Panics
    /// When the data is something else.
    pub fn json(&self) -> serde_json::Value {
        if self.data.is_empty() {
            return serde_json::Value::Null;
        }
        serde_json::from_str(&self.data)
            .unwrap_or_else(|e| panic!("event data is not JSON ({e}): {}", self.data))
    }
}

/// Cuts bytes into events as they arrive.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    event: Event,
    has_data: bool,
    touched: bool,
}

impl Reader {
    /// Takes more bytes and returns the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some((end, next)) = self.line_end() {
            let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..next);
            if line.is_empty() {
                if self.touched {
                    events.push(std::mem::take(&mut self.event));
                }
                self.has_data = false;
                self.touched = false;
            } else {
                self.field(&line);
            }
        }
        events
    }

    /// Where the first line ends and where the next one starts. A line ends with LF, CR or CR LF.
    fn line_end(&self) -> Option<(usize, usize)> {
        let end = self
            .buffer
            .iter()
            .position(|b| *b == b'\n' || *b == b'\r')?;
        if self.buffer[end] == b'\r' {
            // The LF of a CR LF may still be on its way: such a line is not over yet.
            let after = *self.buffer.get(end + 1)?;
            return Some((end, if after == b'\n' { end + 2 } else { end + 1 }));
        }
        Some((end, end + 1))
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.kind = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok(),
            _ => return,
        }
        self.touched = true;
    }
}

/// All events of a finished stream.
pub fn read_all(bytes: &[u8]) -> Vec<Event> {
    Reader::default().feed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_where_the_specification_says() {
        let text = b": hello\nid: 1\ndata: a\ndata: b\n\nretry: 50\r\ndata:\r\n\r\nevent: x\ndata: {\"k\":1}\n\n";
        let whole = read_all(text);
        assert_eq!(whole.len(), 3);
        assert_eq!(
            (whole[0].id.as_deref(), whole[0].data.as_str()),
            (Some("1"), "a\nb")
        );
        assert_eq!((whole[1].retry, whole[1].data.as_str()), (Some(50), ""));
        assert_eq!(whole[2].json(), serde_json::json!({"k": 1}));

        let mut reader = Reader::default();
        let pieces: Vec<Event> = text.iter().flat_map(|b| reader.feed(&[*b])).collect();
        assert_eq!(pieces, whole, "the same, byte by byte");
    }
}
