//! Secrets in the query of a URL: such a URL is kept in clear text, so it is pointed out, and never
//! shown with its values.

/// Words in the name of a parameter that say its value is a credential.
const TELLING: [&str; 10] = [
    "key", "token", "secret", "pass", "pwd", "auth", "cred", "sig", "code", "session",
];
/// A value of this length that is nothing but letters and digits is no word of a language.
const RANDOM: usize = 20;

/// Whether a value in the URL's query looks like a credential.
pub(super) fn holds_secret(url: &str) -> bool {
    parameters(url).any(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let telling = TELLING.iter().any(|word| name.contains(word));
        !value.is_empty() && (telling || looks_random(value))
    })
}

/// The URL with every value of its query hidden: which of them is harmless is not for us to guess.
pub(super) fn masked(url: &str) -> String {
    let Some((place, _)) = url.split_once('?') else {
        return url.to_owned();
    };
    let shown: Vec<String> = parameters(url)
        .map(|(name, value)| match value {
            "" => name.to_owned(),
            _ => format!("{name}=…"),
        })
        .collect();
    format!("{place}?{}", shown.join("&"))
}

/// Name and value of each parameter. One without a name is all value.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some(pair) => pair,
            None if looks_random(part) => ("", part),
            None => (part, ""),
        })
}

fn looks_random(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    value.len() >= RANDOM
        && digits > 1
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d95_a_secret_in_a_query_is_noticed() {
        for (url, secret) in [
            ("https://a/mcp", false),
            ("https://a/mcp?region=eu&debug", false),
            ("https://a/mcp?api_key=x", true),
            ("https://a/mcp?x=1&Access_Token=x", true),
            ("https://a/mcp?id=9f8e7d6c5b4a39281706", true),
            ("https://a/mcp?9f8e7d6c5b4a39281706", true),
            ("https://a/mcp?token=", false),
        ] {
            assert_eq!(holds_secret(url), secret, "{url}");
        }
    }

    #[test]
    fn d95_no_value_of_a_query_is_shown() {
        for (url, shown) in [
            ("https://a/mcp", "https://a/mcp"),
            (
                "https://a/mcp?api_key=hunter2&x=1&debug",
                "https://a/mcp?api_key=…&x=…&debug",
            ),
            ("https://a/mcp?9f8e7d6c5b4a39281706", "https://a/mcp?=…"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
